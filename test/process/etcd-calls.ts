/** A few everyday calls to any etcd server by an independent client, for harnesses and checks. */

import {RawGrpc} from './raw-grpc.ts';

export class EtcdCalls implements Disposable {
  readonly raw: RawGrpc;

  constructor(endpoint: string) {
    this.raw = new RawGrpc(endpoint);
  }

  [Symbol.dispose](): void {
    this.raw[Symbol.dispose]();
  }

  /** @returns the revision of the put */
  async put(key: Uint8Array | string, value: Uint8Array | string, timeoutMs?: number): Promise<number> {
    const request = {key: Buffer.from(key), value: Buffer.from(value)};
    const {header} = await this.raw.unary('etcdserverpb.KV/Put', request, timeoutOf(timeoutMs));
    return Number(header.revision);
  }

  async get(
    key: Uint8Array | string,
    options: {serializable?: boolean; timeoutMs?: number} = {},
  ): Promise<{value: Buffer; modRevision: number} | undefined> {
    const {serializable = false, timeoutMs} = options;
    const request = {key: Buffer.from(key), serializable};
    const {kvs} = await this.raw.unary('etcdserverpb.KV/Range', request, timeoutOf(timeoutMs));
    return kvs.length === 0 ? undefined : {value: kvs[0].value, modRevision: Number(kvs[0].mod_revision)};
  }

  /** Keys with the prefix and their values, as latin1. */
  async prefix(prefix: string): Promise<Map<string, string>> {
    const end = Buffer.from(prefix);
    end[end.length - 1]++;
    const {kvs} = await this.raw.unary(
      'etcdserverpb.KV/Range',
      {key: Buffer.from(prefix), range_end: end},
      {timeoutMs: 60_000},
    );
    return new Map(
      kvs.map((kv: {key: Buffer; value: Buffer}) => [kv.key.toString('latin1'), kv.value.toString('latin1')]),
    );
  }

  async revision(options: {serializable?: boolean} = {}): Promise<number> {
    const request = {key: Buffer.from('x'), serializable: options.serializable ?? false};
    const {header} = await this.raw.unary('etcdserverpb.KV/Range', request);
    return Number(header.revision);
  }

  async status(
    timeoutMs?: number,
  ): Promise<{leader: string; memberId: string; version: string; appliedIndex: number}> {
    const status = await this.raw.unary('etcdserverpb.Maintenance/Status', {}, timeoutOf(timeoutMs));
    return {
      leader: status.leader,
      memberId: status.header.member_id,
      version: status.version,
      appliedIndex: Number(status.raftAppliedIndex),
    };
  }

  async isLeader(timeoutMs?: number): Promise<boolean> {
    const {leader, memberId} = await this.status(timeoutMs);
    return leader === memberId;
  }

  async hashKv(revision = 0): Promise<{hash: number; compactRevision: number; revision: number}> {
    const answer = await this.raw.unary('etcdserverpb.Maintenance/HashKV', {revision}, {timeoutMs: 60_000});
    return {
      hash: answer.hash,
      compactRevision: Number(answer.compact_revision),
      revision: Number(answer.header.revision),
    };
  }
}

function timeoutOf(timeoutMs: number | undefined): {timeoutMs?: number} {
  return timeoutMs === undefined ? {} : {timeoutMs};
}
