/** For commands that ask single members: which ones, and what to do about those that fail. */

import type {CallOptions} from '../../transport/client/call-options.ts';
import type {EtcdClient} from '../../transport/client/etcd-client.ts';
import {ClientCommand} from './client-command.ts';
import {booleanFlag} from './flags.ts';

export const ENDPOINT_FLAGS = {
  cluster: booleanFlag({summary: 'all members of the cluster, as its member list names them'}),
};

export abstract class EndpointCommand<Result> extends ClientCommand<Result> {
  /** Those of `--endpoints`, or with `--cluster` all client URLs of all members. */
  protected async endpoints(client: EtcdClient, flags: {cluster: boolean}): Promise<readonly string[]> {
    if (!flags.cluster) return client.endpoints;
    const {members} = await client.cluster.memberList({linearizable: true}, this.short);
    return [...new Set(members.flatMap((member) => member.clientURLs))];
  }

  protected one(endpoint: string): CallOptions {
    return {...this.short, endpoint};
  }
}
