/** etcdserverpb.Maintenance, but for Downgrade: kvd has no older version to go to. */

import type {Answered, MemberStatus} from '../../../engine/server/server.ts';
import type {Alarm} from '../../../engine/types.ts';
import {STORAGE_VERSION} from '../../../engine/version.ts';
import type {Call, GrpcMethod} from '../../http2/grpc-method.ts';
import {
  type AlarmRequest,
  AlarmRequestAlarmAction,
  AlarmType,
  decodeAlarmRequest,
  decodeDefragmentRequest,
  decodeHashKVRequest,
  decodeHashRequest,
  decodeMoveLeaderRequest,
  decodeSnapshotRequest,
  decodeStatusRequest,
  encodeAlarmResponse,
  encodeDefragmentResponse,
  encodeHashKVResponse,
  encodeHashResponse,
  encodeMoveLeaderResponse,
  encodeSnapshotResponse,
  encodeStatusResponse,
  MaintenancePath,
  type SnapshotResponseInput,
} from '../../proto/generated/maintenance.ts';
import {ALARM_NAMES} from '../alarm-names.ts';
import {refuse, statusOf, toGrpcError} from '../error-status.ts';
import {SNAPSHOT_BLOB_BYTES} from '../limits.ts';
import type {ServerFace, ServiceContext} from './service.ts';
import {DIGEST_BYTES, snapshotBlobs} from './snapshot-blobs.ts';
import {unary} from './unary.ts';

export function maintenanceMethods({server}: ServiceContext): readonly GrpcMethod[] {
  return [
    unary(MaintenancePath.Alarm, decodeAlarmRequest, encodeAlarmResponse, (request) =>
      alarm(server, request).then(alarmResponse, refuse),
    ),
    unary(MaintenancePath.Status, decodeStatusRequest, encodeStatusResponse, () =>
      server.status().then(statusResponse, refuse),
    ),
    // The answers of Defragment and MoveLeader have no header; clients check that.
    unary(MaintenancePath.Defragment, decodeDefragmentRequest, encodeDefragmentResponse, () =>
      server.defragment().then(() => ({}), refuse),
    ),
    unary(MaintenancePath.Hash, decodeHashRequest, encodeHashResponse, (_request, {signal}) =>
      server.hash(signal).then(({header, result}) => ({header, hash: result}), refuse),
    ),
    unary(MaintenancePath.HashKV, decodeHashKVRequest, encodeHashKVResponse, ({revision}) =>
      server.hashKv(revision).then(({header, result}) => ({header, ...result}), refuse),
    ),
    {
      kind: 'serverStream',
      path: MaintenancePath.Snapshot,
      decode: decodeSnapshotRequest,
      encode: encodeSnapshotResponse,
      handle: (_request: unknown, call: Call) => snapshot(server, call),
    },
    unary(MaintenancePath.MoveLeader, decodeMoveLeaderRequest, encodeMoveLeaderResponse, ({targetID}) =>
      server.moveLeader(targetID).then(() => ({}), refuse),
    ),
  ];
}

function statusResponse({header, result}: Answered<MemberStatus>) {
  const {alarms, ...facts} = result;
  const noLeader = facts.leader === 0n ? [statusOf('noLeader').message] : [];
  return {header, ...facts, errors: [...noLeader, ...alarms.map(alarmText)], downgradeInfo: {}};
}

/** The text form of etcd's AlarmMember, with the space at its end. */
function alarmText({memberId, alarm}: Alarm): string {
  return `memberID:${memberId} alarm:${ALARM_NAMES.get(alarm) ?? alarm} `;
}

function alarm(
  server: ServerFace,
  {action, memberID, alarm: type}: AlarmRequest,
): Promise<Answered<readonly Alarm[]>> {
  const {ACTIVATE, DEACTIVATE} = AlarmRequestAlarmAction;
  if (action === ACTIVATE && type !== AlarmType.NONE) {
    return server.alarmActivate({memberId: memberID, alarm: type});
  }
  if (action === DEACTIVATE) return server.alarmDeactivate({memberId: memberID, alarm: type});
  return server.alarms().then(({header, result}) => ({
    header,
    result: type === AlarmType.NONE ? result : result.filter((one) => one.alarm === type),
  }));
}

function alarmResponse({header, result}: Answered<readonly Alarm[]>) {
  return {header, alarms: result.map((one) => ({memberID: one.memberId, alarm: one.alarm}))};
}

/** `remaining_bytes` counts the database alone: it is 0 in the message that holds the digest. */
async function* snapshot(server: ServerFace, {signal}: Call): AsyncGenerator<SnapshotResponseInput, void> {
  try {
    const {totalBytes, chunks} = await server.snapshot(signal);
    const header = server.header();
    let remainingBytes = totalBytes - DIGEST_BYTES;
    for await (const blob of snapshotBlobs(chunks, {totalBytes, blobBytes: SNAPSHOT_BLOB_BYTES})) {
      remainingBytes = Math.max(0, remainingBytes - blob.length);
      yield {header, remainingBytes, blob, version: STORAGE_VERSION};
    }
  } catch (error) {
    throw toGrpcError(error);
  }
}
