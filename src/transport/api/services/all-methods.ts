/** Every method of the client API that this version serves. */

import type {GrpcMethod} from '../../http2/grpc-method.ts';
import {authMethods} from './auth.ts';
import {clusterMethods} from './cluster.ts';
import {healthMethods} from './health.ts';
import {kvMethods} from './kv.ts';
import {leaseMethods} from './lease.ts';
import {maintenanceMethods} from './maintenance.ts';
import type {ServiceContext} from './service.ts';
import {watchMethods} from './watch.ts';

export function allMethods(context: ServiceContext): readonly GrpcMethod[] {
  return [
    ...kvMethods(context),
    ...watchMethods(context),
    ...leaseMethods(context),
    ...clusterMethods(context),
    ...maintenanceMethods(context),
    ...authMethods(context),
    ...healthMethods(context),
  ];
}
