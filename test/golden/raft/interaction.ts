/**
 * A small cluster that does what a script says, one command at a time, and writes down all that happens.
 *
 *     add-nodes COUNT [voters=1,2] [learners=3] [joiner] [log=1,1,2] [term=2] [commit=1] [probation=0] [timeout=3]
 *               [append-bytes=N] [inflight=N] [uncommitted=N] [apply-bytes=N]
 *         Their logs begin behind index 1 of term 1; `log` are the terms of the entries from index 2 on. Election
 *         timeouts are 3, 4, 5, 5, … ticks; whoever heard its leader less than 3 ticks ago refuses to vote.
 *     campaign ID | tick ID [COUNT] | step-down ID | transfer ID TO | read ID CONTEXT | propose ID TEXT
 *     conf-change ID [v4] [l5] [r2] [u1] [joint=implicit|explicit]       no step: leave the joint configuration
 *     ready ID        take one Ready; its messages for now go out
 *     sync ID [count=N]     make Readys durable, oldest first; their other messages go out
 *     apply ID        apply what was handed out
 *     deliver ID [from=ID] [type=TYPE] [skip=N] [count=N]       lose … and double … the same
 *     stabilize [IDS] all of it, until nothing is left to do
 *     hold ID sync|apply, release ID      `stabilize` leaves the member's disk or state machine alone
 *     cut IDS, heal   messages between these and the others are lost
 *     crash ID, restart ID, lose-tail ID LAST [probation=N]     the latter cuts a crashed member's disk
 *     compact ID INDEX | unreachable ID OTHER
 *     log ID | status ID | net            show
 *     quiet, loud     whether what follows is written down
 */

import type {LogFields, Logger, Random} from '../../../src/engine/ports.ts';
import {EMPTY_CONF_STATE} from '../../../src/engine/raft/conf-change.ts';
import {
  describeConf,
  describeConfChange,
  describeEntries,
  describeEntry,
  describeMessage,
} from '../../../src/engine/raft/describe.ts';
import {
  type ConfChange,
  type ConfChangeStep,
  type Entry,
  EntryType,
  type Message,
  type Ready,
} from '../../../src/engine/raft/message.ts';
import type {Raft} from '../../../src/engine/raft/raft.ts';
import type {MemberId} from '../../../src/engine/types.ts';
import {confStateOf, RaftMember} from '../../unit/raft/raft-member.ts';

const ELECTION_TICKS = 3;
const FIRST = {index: 1, term: 1};
const ROUNDS_MAX = 200;

export class Interaction {
  readonly #members = new Map<MemberId, RaftMember>();
  #net: Message[] = [];
  #cut = new Set<MemberId>();
  readonly #held = new Map<MemberId, Set<string>>();
  #output: string[] = [];
  #isQuiet = false;

  /** Runs one command. @returns what happened, a line each */
  run(line: string): readonly string[] {
    this.#output = [];
    const [name, ...words] = line.split(/\s+/);
    const options = new Map<string, string>();
    const plain: string[] = [];
    for (const word of words) {
      const at = word.indexOf('=');
      if (at > 0) options.set(word.slice(0, at), word.slice(at + 1));
      else plain.push(word);
    }
    this.#perform(name, plain, options);
    return this.#output.length === 0 ? ['ok'] : this.#output;
  }

  #perform(name: string, plain: readonly string[], options: ReadonlyMap<string, string>): void {
    const [first, second] = plain;
    switch (name) {
      case 'add-nodes':
        this.#addNodes(Number(first), plain.includes('joiner'), options);
        return;
      case 'ready':
        this.#ready(this.#member(first));
        return;
      case 'sync':
        this.#sync(this.#member(first), Number(options.get('count') ?? Number.POSITIVE_INFINITY));
        return;
      case 'apply':
        this.#apply(this.#member(first));
        return;
      case 'deliver':
      case 'lose':
      case 'double':
        this.#deliver(name, id(first), options);
        return;
      case 'stabilize':
        this.#stabilize(plain.map(id));
        return;
      case 'hold':
        this.#held.set(id(first), (this.#held.get(id(first)) ?? new Set()).add(second));
        return;
      case 'release':
        this.#held.delete(id(first));
        return;
      case 'cut':
        this.#cut = new Set(plain.map(id));
        return;
      case 'heal':
        this.#cut = new Set();
        return;
      case 'net':
        for (const message of this.#net) this.#say(describeMessage(message));
        return;
      case 'quiet':
      case 'loud':
        this.#isQuiet = name === 'quiet';
        return;
      default:
        this.#performOnMember(name, this.#member(first), plain.slice(1), options);
    }
  }

  #performOnMember(
    name: string,
    member: RaftMember,
    plain: readonly string[],
    options: ReadonlyMap<string, string>,
  ): void {
    const raft = (): Raft => {
      if (member.raft === undefined) throw new Error(`${member.id} is down`);
      return member.raft;
    };
    switch (name) {
      case 'campaign':
        raft().campaign();
        return;
      case 'tick':
        for (let i = Number(plain[0] ?? 1); i > 0; i--) raft().tick();
        return;
      case 'step-down':
        raft().stepDown();
        return;
      case 'transfer':
        raft().transferLeadership(id(plain[0]));
        return;
      case 'unreachable':
        raft().unreachable(id(plain[0]));
        return;
      case 'read':
        this.#answer(raft().readIndex(Number(plain[0])));
        return;
      case 'propose':
        this.#answer(raft().propose(Buffer.from(plain.join(' '))));
        return;
      case 'conf-change':
        this.#answer(raft().proposeConfChange(parseConfChange(plain, options)));
        return;
      case 'crash':
        member.crash();
        return;
      case 'restart':
        member.restart();
        return;
      case 'lose-tail':
        this.#loseTail(member, Number(plain[0]), Number(options.get('probation') ?? 0));
        return;
      case 'compact':
        member.compact(Number(plain[0]));
        return;
      case 'log':
        this.#showLog(raft());
        return;
      case 'status':
        this.#showStatus(raft());
        return;
      default:
        throw new Error(`no command ${name}`);
    }
  }

  #addNodes(count: number, isJoiner: boolean, options: ReadonlyMap<string, string>): void {
    const first = this.#members.size + 1;
    const ids = Array.from({length: count}, (_, i) => BigInt(first + i));
    const learners = ids_(options.get('learners')) ?? [];
    const voters = ids_(options.get('voters')) ?? ids.filter((one) => !learners.includes(one));
    const terms = (options.get('log') ?? '').split(',').filter((text) => text !== '');
    const entries = terms.map(
      (term, i): Entry => ({
        index: FIRST.index + 1 + i,
        term: Number(term),
        type: EntryType.normal,
        payload: Buffer.from(`t${term}`),
      }),
    );
    const limit = (name: string) => (options.has(name) ? Number(options.get(name)) : undefined);
    const compacted = isJoiner ? {index: 0, term: 0} : FIRST;
    const term = limit('term') ?? entries.at(-1)?.term ?? compacted.term;
    for (const memberId of ids) {
      const confState = isJoiner ? EMPTY_CONF_STATE : confStateOf({voters, learners});
      const member = new RaftMember({
        id: memberId,
        electionTicks: ELECTION_TICKS,
        heartbeatTicks: 1,
        // So that members with the same clock do not campaign at the same time.
        random: fixedRandom((limit('timeout') ?? ELECTION_TICKS - 1 + Number(memberId)) - ELECTION_TICKS),
        logger: this.#loggerOf(memberId),
        limits: {
          ...(options.has('append-bytes') ? {appendBytesMax: limit('append-bytes')} : {}),
          ...(options.has('inflight') ? {inflightMessagesMax: limit('inflight')} : {}),
          ...(options.has('uncommitted') ? {uncommittedBytesMax: limit('uncommitted')} : {}),
          ...(options.has('apply-bytes') ? {applyBytesMax: limit('apply-bytes')} : {}),
        },
        disk: {
          hardState: {term, vote: 0n, commit: limit('commit') ?? compacted.index},
          compacted,
          entries: [...entries],
          image: {...compacted, confState},
          probation: limit('probation') ?? 0,
        },
      });
      this.#members.set(memberId, member);
      this.#say(`${memberId} ${describeConf(confState)} last=${member.raft?.status().lastIndex}`);
    }
  }

  #ready(member: RaftMember): void {
    const ready = member.takeReady();
    if (ready === undefined) {
      this.#say(`${member.id} has nothing`);
      return;
    }
    for (const line of describeReady(ready)) this.#say(`${member.id} ${line}`);
    this.#send(ready.messagesNow);
  }

  #sync(member: RaftMember, countMax: number): void {
    for (let left = countMax; left > 0 && member.writes.length > 0; left--) {
      const messages = member.sync();
      for (const message of messages) this.#say(`${member.id} after sync ${describeMessage(message)}`);
      this.#send(messages);
    }
  }

  #apply(member: RaftMember): void {
    const entries = member.apply();
    if (entries.length > 0) this.#say(`${member.id} applied ${describeEntries(entries)}`);
  }

  #send(messages: readonly Message[]): void {
    for (const message of messages) {
      const isCut = this.#cut.has(message.from) !== this.#cut.has(message.to);
      if (isCut) this.#lose(message);
      else this.#net.push(message);
    }
  }

  #lose(message: Message): void {
    this.#say(`lost ${describeMessage(message)}`);
    if (message.type === 'snapshot')
      this.#members.get(message.from)?.raft?.snapshotFinished(message.to, false);
  }

  #deliver(how: string, to: MemberId, options: ReadonlyMap<string, string>): void {
    const from = options.get('from');
    const type = options.get('type');
    let skip = Number(options.get('skip') ?? 0);
    let left = Number(options.get('count') ?? Number.POSITIVE_INFINITY);
    const taken: Message[] = [];
    this.#net = this.#net.filter((message) => {
      const isWanted =
        message.to === to &&
        (from === undefined || message.from === id(from)) &&
        (type === undefined || message.type === type);
      if (!isWanted || left <= 0 || skip-- > 0) return true;
      left--;
      taken.push(message);
      return how === 'double';
    });
    for (const message of taken) {
      if (how === 'lose' || this.#members.get(to)?.raft === undefined) this.#lose(message);
      else this.#step(message);
    }
  }

  #step(message: Message): void {
    this.#say(`deliver ${describeMessage(message)}`);
    this.#members.get(message.to)?.raft?.step(message);
    if (message.type === 'snapshot')
      this.#members.get(message.from)?.raft?.snapshotFinished(message.to, true);
  }

  #stabilize(ids: readonly MemberId[]): void {
    const members = [...this.#members.values()].filter(({id}) => ids.length === 0 || ids.includes(id));
    for (let round = 0; round < ROUNDS_MAX; round++) {
      let isIdle = true;
      for (const member of members) {
        const held = this.#held.get(member.id);
        if (member.hasReady()) {
          this.#ready(member);
          isIdle = false;
        }
        if (member.writes.length > 0 && !held?.has('sync')) {
          this.#sync(member, Number.POSITIVE_INFINITY);
          isIdle = false;
        }
        if (member.toApply.length > 0 && !held?.has('apply')) {
          this.#apply(member);
          isIdle = false;
        }
      }
      for (const member of members) {
        if (!this.#net.some(({to}) => to === member.id)) continue;
        this.#deliver('deliver', member.id, new Map());
        isIdle = false;
      }
      if (isIdle) return;
    }
    throw new Error('does not come to rest');
  }

  #loseTail(member: RaftMember, last: number, probation: number): void {
    if (member.raft !== undefined) throw new Error(`${member.id} is not down`);
    const {disk} = member;
    disk.entries = disk.entries.filter(({index}) => index <= last);
    disk.probation = probation;
  }

  #showLog(raft: Raft): void {
    const {firstIndex, lastIndex} = raft.status();
    this.#say(`behind ${raft.term(firstIndex - 1)}/${firstIndex - 1}`);
    if (lastIndex >= firstIndex)
      for (const entry of raft.entries(firstIndex, lastIndex)) this.#say(describeEntry(entry));
  }

  #showStatus(raft: Raft): void {
    const {term, vote, leader, role, commit, applied, lastIndex, transferee, probation, ...status} =
      raft.status();
    const more = `${transferee === 0n ? '' : ` transferee=${transferee}`}${probation === 0 ? '' : ` probation=${probation}`}`;
    const marks = `commit=${commit} applied=${applied} last=${lastIndex}`;
    this.#say(`${role} term=${term} vote=${vote} leader=${leader} ${marks}${more}`);
    this.#say(describeConf(status.confState));
    for (const one of status.progress) {
      const notes = [
        ...(one.isLearner ? ['learner'] : []),
        ...(one.recentActive ? [] : ['inactive']),
        ...(one.pendingSnapshot === 0 ? [] : [`snapshot=${one.pendingSnapshot}`]),
      ];
      this.#say([`${one.id}: ${one.state} match=${one.match} next=${one.next}`, ...notes].join(' '));
    }
  }

  #member(text: string): RaftMember {
    const member = this.#members.get(id(text));
    if (member === undefined) throw new Error(`no member ${text}`);
    return member;
  }

  #answer(isTaken: boolean): void {
    if (!isTaken) this.#say('refused');
  }

  #say(line: string): void {
    if (!this.#isQuiet) this.#output.push(line);
  }

  #loggerOf(memberId: MemberId): Logger {
    const at = (level: string) => (message: string, fields?: LogFields) => {
      const text = Object.entries(fields ?? {}).map(([name, value]) => ` ${name}=${value}`);
      this.#say(`${memberId} ${level} ${message}${text.join('')}`);
    };
    const logger: Logger = {
      debug: at('DEBUG'),
      info: at('INFO'),
      warn: at('WARN'),
      error: at('ERROR'),
      child: () => logger,
    };
    return logger;
  }
}

function describeReady(ready: Ready): string[] {
  const {softState, hardState, entries, snapshot, committed, readStates} = ready;
  return [
    ...(softState === undefined ? [] : [`is ${softState.role}, leader ${softState.leader}`]),
    ...(hardState === undefined
      ? []
      : [`state term=${hardState.term} vote=${hardState.vote} commit=${hardState.commit}`]),
    ...(snapshot === undefined
      ? []
      : [`snapshot ${snapshot.term}/${snapshot.index} ${describeConf(snapshot.confState)}`]),
    ...(entries.length === 0 ? [] : [`writes ${describeEntries(entries)}`]),
    ...ready.messagesNow.map((message) => `sends ${describeMessage(message)}`),
    ...(committed.length === 0 ? [] : [`committed ${describeEntries(committed)}`]),
    ...readStates.map(({context, index}) => `may read context=${context} index=${index}`),
  ];
}

function parseConfChange(words: readonly string[], options: ReadonlyMap<string, string>): ConfChange {
  const types = {v: 'addVoter', l: 'addLearner', r: 'remove', u: 'update'} as const;
  const steps = words.map((word): ConfChangeStep => {
    const type = types[word[0] as keyof typeof types];
    if (type === undefined) throw new Error(`no step ${word}`);
    return {type, memberId: id(word.slice(1))};
  });
  const joint = (options.get('joint') ?? 'auto') as ConfChange['joint'];
  const change = {steps, joint, context: Buffer.alloc(0)};
  if (describeConfChange(change) === '') throw new Error('not a conf change');
  return change;
}

function fixedRandom(value: number): Random {
  return {below: (bound) => Math.min(value, bound - 1), uint64: () => BigInt(value)};
}

function id(text: string): MemberId {
  return BigInt(text);
}

function ids_(text: string | undefined): MemberId[] | undefined {
  return text === undefined ? undefined : text.split(',').map(id);
}
