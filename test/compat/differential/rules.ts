/**
 * Every difference between two servers' answers that is allowed, with its reason. A rule takes what may differ out
 * of the answers of both sides; whatever is left must be equal. A rule that changes nothing in a whole run is stale,
 * and a test says so.
 *
 * What is peculiar to a cluster (ids of members, leases and the cluster, addresses, the run's folder) is not here:
 * it is known exactly, and the subject replaces it by names.
 */

import type {Answer} from './run-script.ts';

export interface Rule {
  readonly name: string;
  readonly reason: string;
  /** The steps that it is for, by the line that describes them; all when absent. */
  readonly on?: RegExp;
  readonly apply: (answer: Answer) => Answer;
}

type Rewrite = (text: string) => string;

/** Rewrites both outputs. */
const rewritten =
  (rewrite: Rewrite) =>
  ({exit, stdout, stderr}: Answer): Answer => ({exit, stdout: rewrite(stdout), stderr: rewrite(stderr)});

const replaced = (pattern: RegExp, by: string) => rewritten((text) => text.replace(pattern, by));

const sortedLines = rewritten((text) => text.split('\n').sort().join('\n'));

/** The entries of a JSON array of objects without further braces, sorted. */
const sortedList = (field: string) => {
  const pattern = new RegExp(`"${field}":\\[([^\\]]*)\\]`);
  return (text: string) =>
    text.replace(pattern, (_, list: string) => `"${field}":[${list.split(',').sort().join(',')}]`);
};

export const COMMAND_RULES: readonly Rule[] = [
  {
    name: 'raft term',
    reason: 'how many elections there were is chance',
    apply: replaced(/("(?:raft_term|RaftTerm|raftTerm)"(?: : |:|: ))"?\d+"?/g, '$1<term>'),
  },
  {
    name: 'status of a member',
    reason: 'version, sizes, who leads, and the log’s index and term are each server’s own',
    on: /endpoint status/,
    apply: rewritten((text) =>
      text
        .replace(/("(?:raftIndex|raftAppliedIndex|RaftIndex|RaftAppliedIndex)"(?: : |:))\d+/g, '$1<index>')
        .replace(/("(?:version|Version|StorageVersion)"(?: : |:))"[\d.]*"/g, '$1<version>')
        .replace(/("(?:dbSize|dbSizeInUse|DBSize|DBSizeInUse|DBSizeQuota)"(?: : |:))\d+/g, '$1<bytes>')
        .replace(/("(?:leader|Leader)"(?: : |:))<member \d>/g, '$1<leader>')
        .split('\n')
        .map((line) => (/[ ,|]3\.\d+\.\d+[ ,|]/.test(line) ? statusRow(line) : line))
        .join('\n'),
    ),
  },
  {
    name: 'newer fields',
    reason: 'etcd 3.4 does not send them',
    on: /endpoint (?:status|hashkv)|snapshot save/,
    apply: replaced(
      /,"(?:hash_revision|dbSizeQuota)":\d+|,"storageVersion":(?:"[\d.]+"|<version>)|,"downgradeInfo":\{\}|Server version .*\n/g,
      '',
    ),
  },
  {
    name: 'revision of a hash',
    reason: 'etcd 3.4 does not send it, so that newer command lines print 0',
    on: /endpoint hashkv/,
    apply: replaced(
      /("HashRevision" : )\d+|((?:, | \xe2\x94\x82 +)\d+(?:, | +\xe2\x94\x82 +))\d+/g,
      '$1$2<revision>',
    ),
  },
  {
    name: 'time of a defragmentation',
    reason: 'it depends on the machine',
    on: /defrag/,
    apply: replaced(/took [\d.]+m?s/g, 'took <time>'),
  },
  {
    name: 'order of endpoints by speed',
    reason: 'they are asked at the same time and printed as they answer, with the time that each took',
    on: /endpoint health/,
    apply: (answer) => sortedLines(replaced(/\d[\d.]*(?:ms|µs|Âµs)/g, '<time>')(answer)),
  },
  {
    name: 'log lines of the client library',
    reason: 'they begin with the time and name the connection by a random id',
    apply: replaced(
      /"ts":(?:"[^"]*"|[\d.]+)|"target":"[^"]*"|endpoint:\/\/client-[0-9a-f-]+\/|"took":[\d.]+|^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ /gm,
      '<log>',
    ),
  },
  {
    name: 'remaining time of a lease',
    reason: 'it depends on the clock',
    on: /lease timetolive/,
    apply: replaced(/remaining\(\d+s\)|"ttl":\d+|"TTL" : \d+/g, 'remaining <time>'),
  },
  {
    name: 'order of a lease’s keys',
    reason: 'etcd has them in a hash table and prints them in its chance order; kvd sorts them',
    on: /lease timetolive .*--keys/,
    apply: rewritten((text) =>
      sortedList('keys')(text)
        .replace(/attached keys\(\[([^\]]*)\]\)/, (_, keys: string) => keys.split(' ').sort().join(' '))
        .replace(/(?:"Key" : .*\n)+/, (keys: string) => keys.split('\n').sort().join('\n')),
    ),
  },
  {
    name: 'order of leases',
    reason: 'etcd lists them by when they expire, which only a leader knows; kvd by id on every member',
    on: /lease list/,
    apply: (answer) => sortedLines(rewritten(sortedList('leases'))(answer)),
  },
  {
    name: 'goroutines of etcdctl',
    reason: 'version 3.4 panics on compares of leases and on wrong operators, and prints addresses in memory',
    on: /txn/,
    apply: replaced(/0x[0-9a-f]+|goroutine \d+/g, '<address>'),
  },
  {
    name: 'content of a snapshot file',
    reason:
      'ids and the state of the cluster are in it and in its hash; kvd writes only buckets with content',
    on: /snapshot (?:status|save)/,
    apply: rewritten((text) =>
      text
        .replace(
          /[0-9a-f]{6,8}(?:,| +\|| \xe2\x94\x82) +(\d+)(?:,| +\|| \xe2\x94\x82) +\d+(?:,| +\|| \xe2\x94\x82) +[\d.]+ kB/,
          '<hash> $1 <keys> <size>',
        )
        .replace(/("(?:hash|totalKey|totalSize|Hash|Keys|Size)"(?: : |:))\d+/g, '$1<content>')
        .replace(/"size":"[^"]*"/, '<size>'),
    ),
  },
  {
    name: 'a learner’s update',
    reason: 'etcd 3.4 makes a voter of a learner in the member list when its URLs are updated; kvd does not',
    on: /member (?:update \{learner\}|list -w fields --endpoints)/,
    apply: replaced(/,"isLearner":true|"IsLearner" : (?:true|false)/g, ''),
  },
  {
    name: 'header of alarms',
    reason: 'etcd 3.4 leaves it out; newer versions have it',
    on: /alarm list -w json/,
    apply: replaced(/"header":\{[^}]*\},?/, ''),
  },
  {
    name: 'who leads',
    reason: 'chance',
    on: /move-leader \{follower\}/,
    apply: replaced(/<(member|client address) \d>/g, '<$1>'),
  },
  {
    name: 'names in a transaction’s JSON',
    reason: 'etcdctl 3.4 prints the names of Go’s fields',
    on: /txn .*-w json/,
    apply: rewritten((text) =>
      text
        .replace(/"ResponseRange"/g, '"response_range"')
        .replace(/"ResponsePut"/g, '"response_put"')
        .replace(/"ResponseDeleteRange"/g, '"response_delete_range"'),
    ),
  },
  {
    name: 'who answers',
    reason: 'the client picks one of several endpoints by chance',
    on: /get .*--endpoints=\{endpoints\}/,
    apply: replaced(/("member_id":)<member \d>/g, '$1<member>'),
  },
  {
    name: 'widths of tables',
    reason: 'they go by the lengths of ids, versions and sizes; lines of text pad ids, too',
    on: /-w table|member/,
    apply: replaced(/ {2,}|-{2,}|(?:\xe2\x94[\x80\xac\xb4\xbc])+/g, ' '),
  },
  {
    name: 'order of members',
    reason: 'it goes by id, and an id goes by ports and time',
    on: /member (?:list|add|update|remove|promote)|--cluster/,
    apply: rewritten(sortedMembers),
  },
];

/** A row of text or table without what is each server's own: versions, sizes, numbers, and the first yes or no. */
function statusRow(line: string): string {
  let leads = false;
  const cells = line.split(/, | *\| *| *\xe2\x94\x82 */).filter((cell) => {
    const isLeader = !leads && /^(?:true|false)$/.test(cell);
    if (isLeader) leads = true;
    return !isLeader && !/^(?:[\d.]+(?: ?[kMG]?B|%)?)?$/.test(cell);
  });
  return cells.join(' | ');
}

/** Members in whatever form they are printed: objects of JSON, blocks of fields, lines. */
function sortedMembers(text: string): string {
  if (/^\s*[[{]/.test(text)) {
    return text
      .replace(
        /("members": ?\[\s*\{)([^}]*(?:\},\s*\{[^}]*)*)\}/g,
        (_, start: string, list: string) =>
          `${start}${list
            .split(/\},\s*\{/)
            .sort()
            .join('},{')}}`,
      )
      .replace(/^\[\{"Endpoint".*/s, (list) =>
        list
          .split('},{"Endpoint"')
          .map((one) => one.replace(/^\[\{"Endpoint"|\}\]\s*$/g, ''))
          .sort()
          .join('\n'),
      );
  }
  if (text.startsWith('"ClusterID"'))
    return text
      .split(/\n(?="ID")|\n\n/)
      .map((block) => block.trim())
      .sort()
      .join('\n\n');
  return text
    .replace(/ETCD_INITIAL_CLUSTER="(.*)"/, (_, list: string) => list.split(',').sort().join(','))
    .split('\n')
    .sort()
    .join('\n');
}

/** Applies the rules that are for this step. `used` gets the names of those that changed something. */
export function applyRules(
  rules: readonly Rule[],
  answer: Answer,
  {line, used}: {line: string; used: Set<string>},
): Answer {
  return rules.reduce((before, {name, on, apply}) => {
    if (on !== undefined && !on.test(line)) return before;
    const after = apply(before);
    const changed = (['exit', 'stdout', 'stderr'] as const).some((part) => after[part] !== before[part]);
    if (changed) used.add(name);
    return after;
  }, answer);
}

/** The answer as the text that is compared. */
export function transcript(line: string, {exit, stdout, stderr}: Answer): string {
  return `$ ${line}\n--- exit code: ${exit}\n--- stdout:\n${stdout}\n--- stderr:\n${stderr}`;
}
