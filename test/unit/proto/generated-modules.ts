/** All generated codecs, by the name of the .proto file that they were made of. */

import * as auth from '../../../src/transport/proto/generated/auth.ts';
import * as cluster from '../../../src/transport/proto/generated/cluster.ts';
import * as election from '../../../src/transport/proto/generated/election.ts';
import * as header from '../../../src/transport/proto/generated/header.ts';
import * as health from '../../../src/transport/proto/generated/health.ts';
import * as kv from '../../../src/transport/proto/generated/kv.ts';
import * as lease from '../../../src/transport/proto/generated/lease.ts';
import * as lock from '../../../src/transport/proto/generated/lock.ts';
import * as maintenance from '../../../src/transport/proto/generated/maintenance.ts';
import * as mvcc from '../../../src/transport/proto/generated/mvcc.ts';
import * as permission from '../../../src/transport/proto/generated/permission.ts';
import * as watch from '../../../src/transport/proto/generated/watch.ts';

export const generatedModules: Readonly<Record<string, Record<string, unknown>>> = {
  auth,
  cluster,
  election,
  header,
  health,
  kv,
  lease,
  lock,
  maintenance,
  mvcc,
  permission,
  watch,
};
