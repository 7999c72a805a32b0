/**
 * What locks and elections are made of, with etcd's key layout (`name/` and the session's lease in hex), so that
 * they exclude holders that use etcd's own client packages.
 */

import {prefixEnd} from '../../engine/lib/bytes.ts';
import {hex64} from '../../engine/lib/hex64.ts';
import {EventType, SortOrder, SortTarget} from '../../engine/types.ts';
import {GrpcError, GrpcStatus} from '../http2/grpc-status.ts';
import type {KeyValue} from '../proto/generated/mvcc.ts';
import type {WatchCreateRequestInput} from '../proto/generated/watch.ts';
import type {CallOptions} from './call-options.ts';
import type {KvClient} from './kv-client.ts';
import type {LeaseClient} from './lease-client.ts';
import type {Watcher, WatchOptions} from './watcher.ts';

/** The parts of a client that this needs. */
export interface ConcurrencyClient {
  readonly kv: KvClient;
  readonly lease: LeaseClient;
  watch(request: WatchCreateRequestInput, options?: WatchOptions): Watcher;
}

/** `name/`: what all contenders' keys begin with. */
export function contestPrefix(name: string | Uint8Array): Buffer {
  return Buffer.concat([typeof name === 'string' ? Buffer.from(name) : name, Buffer.from('/')]);
}

export function contestKey(prefix: Uint8Array, leaseId: bigint): Buffer {
  return Buffer.concat([prefix, Buffer.from(hex64(leaseId))]);
}

/** The oldest key with the prefix: who holds the lock or leads. */
export function oldest(prefix: Uint8Array) {
  return {
    key: prefix,
    rangeEnd: prefixEnd(prefix),
    sortOrder: SortOrder.ascend,
    sortTarget: SortTarget.create,
    limit: 1,
  };
}

/**
 * Resolves when all keys with the prefix that are older than `revision` are gone; looks only at the next older one,
 * so that one release wakes one contender.
 */
export async function waitForOlder(
  client: ConcurrencyClient,
  {prefix, revision}: {prefix: Uint8Array; revision: number},
  options: CallOptions,
): Promise<void> {
  for (;;) {
    const {header, kvs} = await client.kv.range(
      {
        ...oldest(prefix),
        sortOrder: SortOrder.descend,
        maxCreateRevision: revision - 1,
      },
      options,
    );
    if (kvs.length === 0) return;
    await waitForDelete(client, {key: kvs[0].key, fromRevision: header?.revision ?? 0}, options);
  }
}

async function waitForDelete(
  client: ConcurrencyClient,
  {key, fromRevision}: {key: Uint8Array; fromRevision: number},
  {signal}: CallOptions,
): Promise<void> {
  const watcher = client.watch({key, startRevision: fromRevision}, {signal});
  for await (const response of watcher) {
    // Compacted below us: the caller looks again.
    if (response.canceled) return;
    if (response.events.some(({type}) => type === EventType.delete)) return;
  }
  throw new GrpcError(GrpcStatus.cancelled, 'context canceled');
}

/** The key as the transaction that tried to create it left it. */
export function firstKeyValue(
  responses: readonly {readonly responseRange?: {readonly kvs: readonly KeyValue[]} | undefined}[],
): KeyValue | undefined {
  return responses[0]?.responseRange?.kvs[0];
}
