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
    reason: 'version, size of the file, who leads, and the log’s index and term are each server’s own',
    on: /endpoint status/,
    apply: rewritten((text) =>
      text
        .replace(/("(?:raftIndex|raftAppliedIndex|RaftIndex|RaftAppliedIndex)"(?: : |:))\d+/g, '$1<index>')
        .replace(/("(?:version|Version)"(?: : |:))"[\d.]+"/g, '$1<version>')
        .replace(/("(?:dbSize|dbSizeInUse|DBSize|DBSizeInUse)"(?: : |:))\d+/g, '$1<bytes>')
        .replace(/("(?:leader|Leader)"(?: : |:))<member \d>/g, '$1<leader>')
        .replace(
          / 3\.\d+\.\d+(,| +\|) +[\d.]+ [kM]B(,| +\|) +(?:true|false)(,| +\|) +(true|false)(,| +\|) +\d+(,| +\|) +\d+(,| +\|) +\d+/g,
          ' <version> <size> <leads> $4 <term> <index> <index>',
        ),
    ),
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
        .replace(/[0-9a-f]{6,8}(,| +\|) +(\d+)(,| +\|) +\d+(,| +\|) +[\d.]+ kB/, '<hash> $2 <keys> <size>')
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
    name: 'order of members',
    reason: 'it goes by id, and an id goes by ports and time',
    on: /member (?:list|add|update|remove|promote)|--cluster/,
    apply: rewritten(sortedMembers),
  },
  {
    name: 'widths of tables',
    reason: 'they go by the lengths of ids, versions and sizes',
    on: /-w table/,
    apply: replaced(/ {2,}|-{2,}/g, ' '),
  },
];

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
