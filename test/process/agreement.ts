/** What must hold of a cluster once nothing disturbs it any more. */

import {EtcdCalls} from './etcd-calls.ts';
import {eventually} from './eventually.ts';
import type {MemberProcess} from './member-process.ts';

/** All members have applied the same, and hash to the same at that revision. @returns the hash */
export async function membersAgree(members: readonly MemberProcess[]): Promise<number> {
  const calls = members.map(({endpoint}) => new EtcdCalls(endpoint));
  try {
    return await eventually(
      async () => {
        // Linearizable: every member has at least this revision afterwards.
        const revision = await calls[0].revision();
        const hashes = await Promise.all(calls.map((call) => call.hashKv(revision)));
        const [first] = hashes;
        return hashes.every((other) => other.hash === first.hash) ? first.hash : undefined;
      },
      {timeoutMs: 30_000, what: 'all members with the same HashKV'},
    );
  } finally {
    for (const call of calls) call[Symbol.dispose]();
  }
}

/** Every acknowledged write is there. @returns those that are not */
export async function missingWrites(
  endpoint: string,
  prefix: string,
  acknowledged: ReadonlyMap<string, string>,
): Promise<string[]> {
  using calls = new EtcdCalls(endpoint);
  const stored = await calls.prefix(prefix);
  return [...acknowledged].filter(([key, value]) => stored.get(key) !== value).map(([key]) => key);
}

export async function leaderOf(members: readonly MemberProcess[]): Promise<MemberProcess> {
  return eventually(
    async () => {
      for (const member of members.filter(({isRunning}) => isRunning)) {
        using calls = new EtcdCalls(member.endpoint);
        if (await calls.isLeader(1_000)) return member;
      }
      return undefined;
    },
    {what: 'a leader'},
  );
}
