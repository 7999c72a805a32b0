/** Every difference between two servers' answers by raw gRPC that is allowed, with its reason. */

export interface GrpcRule {
  readonly name: string;
  readonly reason: string;
  /** The steps that it is for, by name; all when absent. */
  readonly on?: RegExp;
  readonly apply: (text: string) => string;
}

const replaced = (pattern: RegExp, by: string) => (text: string) => text.replace(pattern, by);

export const GRPC_RULES: readonly GrpcRule[] = [
  {
    name: 'raft term',
    reason: 'how many elections there were is chance',
    apply: replaced(/("(?:raft_term|raftTerm)": )"\d+"/g, '$1<term>'),
  },
  {
    name: 'status of a member',
    reason:
      'version, sizes, who leads, the log’s index and fields that 3.4 does not have are each server’s own',
    on: /status/,
    apply: replaced(
      /"(?:version|dbSize|dbSizeInUse|leader|raftIndex|raftAppliedIndex|storageVersion|dbSizeQuota)": "[^"]*"|"downgradeInfo": (?:null|\{[^}]*\})/g,
      '<own>',
    ),
  },
  {
    name: 'revision of a hash',
    reason: 'etcd 3.4 does not send it',
    on: /hash/,
    apply: replaced(/"hash_revision": "-?\d+"/, '<hash revision>'),
  },
  {
    name: 'unknown sort order',
    reason: 'etcd 3.6 and later refuse it, as kvd does; 3.4 takes it for none',
    on: /sort order unknown/,
    apply: () => '<refused or not sorted>',
  },
  {
    name: 'watch from a negative revision',
    reason: 'etcd 3.5 and later refuse it as compacted, as kvd does; 3.4 takes it for 0',
    on: /watch a negative revision/,
    apply: () => '<refused or created>',
  },
  {
    name: 'id of a lease that the server chooses',
    reason: 'chance',
    on: /grant with a chosen id/,
    apply: replaced(/"ID": "\d+"/, '<id>'),
  },
  {
    name: 'order of a lease’s keys',
    reason: 'etcd has them in a hash table and answers in its chance order; kvd sorts them',
    on: /time to live/,
    apply: (text) =>
      text.replace(
        /"keys": \[([^\]]*)\]/,
        (_, keys: string) =>
          `keys ${keys
            .split(/,\s*/)
            .map((key) => key.trim())
            .sort()}`,
      ),
  },
  {
    name: 'order of members',
    reason: 'it goes by id, and an id goes by ports',
    on: /cluster: /,
    apply: replaced(/<(member|peer URL|client address) \d>|"m\d"/g, '<member>'),
  },
  {
    name: 'header of alarms',
    reason: 'etcd 3.4 leaves it out; newer versions have it',
    on: /alarm|raise it again|drop it again/,
    apply: replaced(/"header": (?:null|\{[^}]*\})/, '<header>'),
  },
  {
    name: 'nested puts without space',
    reason:
      'etcd does not look for puts in nested transactions, so that its quota can be passed by; kvd does',
    on: /nested put that is not taken, without space/,
    apply: () => '<refused or without effect>',
  },
];

/** Applies the rules that are for this step. `used` gets the names of those that changed something. */
export function applyGrpcRules(
  rules: readonly GrpcRule[],
  answer: string,
  {name: step, used}: {name: string; used: Set<string>},
): string {
  return rules.reduce((before, {name, on, apply}) => {
    if (on !== undefined && !on.test(step)) return before;
    const after = apply(before);
    if (after !== before) used.add(name);
    return after;
  }, answer);
}
