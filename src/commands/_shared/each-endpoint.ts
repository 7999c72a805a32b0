/** For commands that ask single members: which ones, and what to do about those that fail. */

import type {CallOptions} from '../../transport/client/call-options.ts';
import type {EtcdClient} from '../../transport/client/etcd-client.ts';
import {ClientCommand} from './client-command.ts';
import {describeError} from './describe-error.ts';
import {CommandError, ExitCode} from './exit.ts';
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

/** Commands that only look: all members are asked at once, so that dead ones cost one time-out together. */
export abstract class EndpointQuery<Answer> extends EndpointCommand<readonly Answer[]> {
  #failed = 0;

  /** @returns the answers in the order of the endpoints; who fails is named, in the same order, and left out */
  protected async askAll(
    endpoints: readonly string[],
    what: string,
    ask: (endpoint: string) => Promise<Answer>,
  ): Promise<readonly Answer[]> {
    const outcomes = await Promise.allSettled(endpoints.map(ask));
    const answers: Answer[] = [];
    outcomes.forEach((outcome, at) => {
      if (outcome.status === 'fulfilled') answers.push(outcome.value);
      else this.#tellFailure(`Failed to get the ${what} of endpoint ${endpoints[at]}`, outcome.reason);
    });
    return answers;
  }

  override async print(answers: readonly Answer[]): Promise<void> {
    await super.print(answers);
    if (this.#failed > 0) throw new CommandError(ExitCode.error, '');
  }

  #tellFailure(line: string, reason: unknown): void {
    this.#failed++;
    this.terminal.warn(`${line} (${describeError(reason).line})`);
  }
}
