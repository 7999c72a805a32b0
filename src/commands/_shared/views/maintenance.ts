/** Views of alarms, compaction, leadership transfer and snapshot files. */

import {hex64} from '../../../engine/lib/hex64.ts';
import type {SnapshotStatus} from '../../../engine/storage/snapshot-file/snapshot-status.ts';
import type {AlarmResponse, MoveLeaderResponse} from '../../../transport/proto/generated/maintenance.ts';
import {messageJson} from '../lazy-message-json.ts';
import type {View} from '../printer.ts';
import {formatBytes} from '../units.ts';
import {headerFields, headerOnlyView} from './header.ts';

const ALARM_NAMES: Readonly<Record<number, string>> = {0: 'NONE', 1: 'NOSPACE', 2: 'CORRUPT'};

export const alarmView: View<AlarmResponse> = {
  simple: (response, lines) => {
    for (const {memberID, alarm} of response.alarms)
      lines.text(`memberID:${memberID} alarm:${ALARM_NAMES[alarm] ?? alarm} `);
  },
  fields: (response, lines) => {
    headerFields(response.header, lines);
    for (const {memberID, alarm} of response.alarms) {
      lines.field('MemberID', memberID);
      lines.field('AlarmType', ALARM_NAMES[alarm] ?? alarm);
      lines.text('');
    }
  },
  json: (response) => messageJson('etcdserverpb.AlarmResponse', response),
  protobuf: async (response) => {
    const {encodeAlarmResponse} = await import('../../../transport/proto/generated/maintenance.ts');
    return encodeAlarmResponse(response);
  },
};

export function moveLeaderView(leader: bigint, target: bigint): View<MoveLeaderResponse> {
  return headerOnlyView({
    type: 'etcdserverpb.MoveLeaderResponse',
    line: () => `Leadership transferred from ${hex64(leader)} to ${hex64(target)}`,
    encode: async (response) => {
      const {encodeMoveLeaderResponse} = await import('../../../transport/proto/generated/maintenance.ts');
      return encodeMoveLeaderResponse(response);
    },
  });
}

function snapshotRow(status: SnapshotStatus): readonly string[] {
  return [
    (status.hash >>> 0).toString(16),
    String(status.revision),
    String(status.totalKeys),
    formatBytes(status.totalSize),
    status.version,
  ];
}

export const snapshotStatusView: View<SnapshotStatus> = {
  simple: (status, lines) => lines.text(snapshotRow(status).join(', ')),
  fields: (status, lines) => {
    lines.field('Hash', status.hash);
    lines.field('Revision', status.revision);
    lines.field('Keys', status.totalKeys);
    lines.field('Size', status.totalSize);
    lines.field('Version', status.version);
  },
  json: (status) => ({
    hash: status.hash,
    revision: status.revision,
    totalKey: status.totalKeys,
    totalSize: status.totalSize,
    version: status.version,
  }),
  table: (status) => ({
    head: ['Hash', 'Revision', 'Total Keys', 'Total Size', 'Version'],
    rows: [snapshotRow(status)],
  }),
};
