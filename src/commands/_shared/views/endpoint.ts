/** Views of what is asked of each endpoint: health, status, hash. */

import {formatDuration} from '../../../config/duration.ts';
import {hex64} from '../../../engine/lib/hex64.ts';
import type {HashKVResponse, StatusResponse} from '../../../transport/proto/generated/maintenance.ts';
import {goQuoteText} from '../go-quote.ts';
import {messageJson} from '../lazy-message-json.ts';
import type {View} from '../printer.ts';
import {formatBytes, percentUnused} from '../units.ts';
import {headerFields} from './header.ts';

export interface EndpointHealth {
  readonly endpoint: string;
  readonly isHealthy: boolean;
  readonly tookMs: number;
  /** Empty when healthy. */
  readonly error: string;
}

export interface EndpointStatus {
  readonly endpoint: string;
  readonly status: StatusResponse;
}

export interface EndpointHash {
  readonly endpoint: string;
  readonly hash: HashKVResponse;
}

/** `simple` prints the healthy ones; the others are told on the standard error stream by the command. */
export const endpointHealthView: View<readonly EndpointHealth[]> = {
  simple: (results, lines) => {
    for (const {endpoint, isHealthy, tookMs} of results) {
      if (!isHealthy) continue;
      lines.text(`${endpoint} is healthy: successfully committed proposal: took = ${formatDuration(tookMs)}`);
    }
  },
  fields: (results, lines) => {
    for (const {endpoint, isHealthy, tookMs, error} of results) {
      lines.field('Endpoint', goQuoteText(endpoint));
      lines.field('Health', isHealthy);
      lines.field('Took', formatDuration(tookMs));
      lines.field('Error', error);
      lines.text('');
    }
  },
  json: (results) =>
    results.map(({endpoint, isHealthy, tookMs, error}) => ({
      endpoint,
      health: isHealthy,
      took: formatDuration(tookMs),
      error: error === '' ? undefined : error,
    })),
  table: (results) => ({
    head: ['Endpoint', 'Health', 'Took', 'Error'],
    rows: results.map(({endpoint, isHealthy, tookMs, error}) => [
      endpoint,
      String(isHealthy),
      formatDuration(tookMs),
      error,
    ]),
  }),
};

const STATUS_HEAD = [
  'Endpoint',
  'ID',
  'Version',
  'Storage Version',
  'DB Size',
  'In Use',
  'Percentage Not In Use',
  'Quota',
  'Is Leader',
  'Is Learner',
  'Raft Term',
  'Raft Index',
  'Raft Applied Index',
  'Errors',
  'Downgrade Target Version',
  'Downgrade Enabled',
];

function statusRow({endpoint, status}: EndpointStatus): readonly string[] {
  const id = status.header?.memberId ?? 0n;
  return [
    endpoint,
    hex64(id),
    status.version,
    status.storageVersion,
    formatBytes(status.dbSize),
    formatBytes(status.dbSizeInUse),
    percentUnused(status.dbSize, status.dbSizeInUse),
    formatBytes(Math.max(status.dbSizeQuota, 0)),
    String(status.leader === id),
    String(status.isLearner),
    String(status.raftTerm),
    String(status.raftIndex),
    String(status.raftAppliedIndex),
    status.errors.join(', '),
    status.downgradeInfo?.targetVersion ?? '',
    String(status.downgradeInfo?.enabled ?? false),
  ];
}

export const endpointStatusView: View<readonly EndpointStatus[]> = {
  simple: (results, lines) => {
    for (const result of results) lines.text(statusRow(result).join(', '));
  },
  fields: (results, lines) => {
    for (const {endpoint, status} of results) {
      headerFields(status.header, lines);
      lines.field('Version', goQuoteText(status.version));
      lines.field('StorageVersion', goQuoteText(status.storageVersion));
      lines.field('DBSize', status.dbSize);
      lines.field('DBSizeInUse', status.dbSizeInUse);
      lines.field('DBSizeQuota', status.dbSizeQuota);
      lines.field('Leader', status.leader);
      lines.field('IsLearner', status.isLearner);
      lines.field('RaftIndex', status.raftIndex);
      lines.field('RaftTerm', status.raftTerm);
      lines.field('RaftAppliedIndex', status.raftAppliedIndex);
      lines.field('Errors', `[${status.errors.join(' ')}]`);
      lines.field('Endpoint', goQuoteText(endpoint));
      lines.field('DowngradeTargetVersion', goQuoteText(status.downgradeInfo?.targetVersion ?? ''));
      lines.field('DowngradeEnabled', status.downgradeInfo?.enabled ?? false);
      lines.text('');
    }
  },
  json: (results) =>
    Promise.all(
      results.map(async ({endpoint, status}) => ({
        Endpoint: endpoint,
        Status: await messageJson('etcdserverpb.StatusResponse', status),
      })),
    ),
  table: (results) => ({head: STATUS_HEAD, rows: results.map(statusRow)}),
};

function hashRow({endpoint, hash}: EndpointHash): readonly string[] {
  return [endpoint, String(hash.hash), String(hash.hashRevision)];
}

export const endpointHashView: View<readonly EndpointHash[]> = {
  simple: (results, lines) => {
    for (const result of results) lines.text(hashRow(result).join(', '));
  },
  fields: (results, lines) => {
    for (const {endpoint, hash} of results) {
      headerFields(hash.header, lines);
      lines.field('Endpoint', goQuoteText(endpoint));
      lines.field('Hash', hash.hash);
      lines.field('HashRevision', hash.hashRevision);
      lines.text('');
    }
  },
  json: (results) =>
    Promise.all(
      results.map(async ({endpoint, hash}) => ({
        Endpoint: endpoint,
        HashKV: await messageJson('etcdserverpb.HashKVResponse', hash),
      })),
    ),
  table: (results) => ({head: ['Endpoint', 'Hash', 'Hash Revision'], rows: results.map(hashRow)}),
};
