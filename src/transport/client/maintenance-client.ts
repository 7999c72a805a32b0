/** Care of members. Status, hashes, defragmentation and snapshots are about one member: name it by `endpoint`. */

import type {
  AlarmRequestInput,
  AlarmResponse,
  DefragmentResponse,
  DowngradeRequestInput,
  DowngradeResponse,
  HashKVResponse,
  HashResponse,
  MoveLeaderResponse,
  SnapshotResponse,
  StatusResponse,
} from '../proto/generated/maintenance.ts';
import type {CallOptions} from './call-options.ts';
import type {Calls} from './calls.ts';

export class MaintenanceClient {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  async alarm(request: AlarmRequestInput, options?: CallOptions): Promise<AlarmResponse> {
    const {MaintenancePath, encodeAlarmRequest, decodeAlarmResponse} = await codecs();
    const bytes = encodeAlarmRequest(request);
    return decodeAlarmResponse(await this.#calls.read(MaintenancePath.Alarm, bytes, options));
  }

  async status(options?: CallOptions): Promise<StatusResponse> {
    const {MaintenancePath, encodeStatusRequest, decodeStatusResponse} = await codecs();
    const bytes = encodeStatusRequest({});
    return decodeStatusResponse(await this.#calls.read(MaintenancePath.Status, bytes, options));
  }

  async defragment(options?: CallOptions): Promise<DefragmentResponse> {
    const {MaintenancePath, encodeDefragmentRequest, decodeDefragmentResponse} = await codecs();
    const bytes = encodeDefragmentRequest({});
    return decodeDefragmentResponse(await this.#calls.write(MaintenancePath.Defragment, bytes, options));
  }

  async hash(options?: CallOptions): Promise<HashResponse> {
    const {MaintenancePath, encodeHashRequest, decodeHashResponse} = await codecs();
    return decodeHashResponse(await this.#calls.read(MaintenancePath.Hash, encodeHashRequest({}), options));
  }

  /** `revision` 0: up to the newest. */
  async hashKv(revision: number, options?: CallOptions): Promise<HashKVResponse> {
    const {MaintenancePath, encodeHashKVRequest, decodeHashKVResponse} = await codecs();
    const bytes = encodeHashKVRequest({revision});
    return decodeHashKVResponse(await this.#calls.read(MaintenancePath.HashKV, bytes, options));
  }

  /** The parts of a snapshot file, in order; it ends in a SHA-256 of what is before. Without a timeout of its own: none. */
  async *snapshot(options?: CallOptions): AsyncGenerator<SnapshotResponse, void> {
    const {MaintenancePath, encodeSnapshotRequest, decodeSnapshotResponse} = await codecs();
    const bytes = encodeSnapshotRequest({});
    for await (const part of this.#calls.serverStream(MaintenancePath.Snapshot, bytes, {
      timeoutMs: 0,
      ...options,
    })) {
      yield decodeSnapshotResponse(part);
    }
  }

  /** To be asked of the leader. */
  async moveLeader(targetID: bigint, options?: CallOptions): Promise<MoveLeaderResponse> {
    const {MaintenancePath, encodeMoveLeaderRequest, decodeMoveLeaderResponse} = await codecs();
    const bytes = encodeMoveLeaderRequest({targetID});
    return decodeMoveLeaderResponse(await this.#calls.read(MaintenancePath.MoveLeader, bytes, options));
  }

  async downgrade(request: DowngradeRequestInput, options?: CallOptions): Promise<DowngradeResponse> {
    const {MaintenancePath, encodeDowngradeRequest, decodeDowngradeResponse} = await codecs();
    const bytes = encodeDowngradeRequest(request);
    return decodeDowngradeResponse(await this.#calls.write(MaintenancePath.Downgrade, bytes, options));
  }
}

const codecs = () => import('../proto/generated/maintenance.ts');
