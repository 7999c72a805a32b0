/** Many keys in and out of a server quickly, by an independent client. */

import {EtcdCalls} from './etcd-calls.ts';

/** A transaction holds this many puts (etcd's --max-txn-ops). */
const PUTS_PER_TXN = 128;

export interface BulkOptions {
  readonly endpoint: string;
  readonly keys: number;
  readonly valueBytes: number;
  /** Keys are `<prefix><8 digits>`. */
  readonly prefix: string;
  readonly inFlight?: number;
}

export const bulkKey = (prefix: string, n: number) => `${prefix}${String(n).padStart(8, '0')}`;

export async function putMany(options: BulkOptions): Promise<void> {
  const {endpoint, keys, valueBytes, prefix, inFlight = 8} = options;
  using calls = new EtcdCalls(endpoint);
  let next = 0;
  const run = async () => {
    while (next < keys) {
      const from = next;
      next = Math.min(keys, from + PUTS_PER_TXN);
      const success = Array.from({length: next - from}, (_, i) => {
        const key = bulkKey(prefix, from + i);
        return {request_put: {key: Buffer.from(key), value: Buffer.alloc(valueBytes, key)}};
      });
      await calls.raw.unary('etcdserverpb.KV/Txn', {success}, {timeoutMs: 30_000});
    }
  };
  await Promise.all(Array.from({length: inFlight}, run));
}

export async function countPrefix(endpoint: string, prefix: string): Promise<number> {
  using calls = new EtcdCalls(endpoint);
  const {count} = await calls.raw.unary('etcdserverpb.KV/Range', {...prefixRange(prefix), count_only: true});
  return Number(count);
}

export function prefixRange(prefix: string): {key: Buffer; range_end: Buffer} {
  const end = Buffer.from(prefix);
  end[end.length - 1]++;
  return {key: Buffer.from(prefix), range_end: end};
}
