/** What a member's configuration says where a test is about something else: etcd's defaults. */

import type {ServerConfig} from '../src/engine/server/server-config.ts';

export const USUAL_SETTINGS = {
  heartbeatIntervalMs: 100,
  electionTimeoutMs: 1_000,
  maxRequestBytes: 1_572_864,
  quotaBackendBytes: 0,
  autoCompaction: {mode: 'off'},
  strictReconfigCheck: true,
  maxLearners: 1,
  watchProgressNotifyIntervalMs: 600_000,
} satisfies Partial<ServerConfig>;
