/** Bugs of the consensus core: elections, the log, reads. */

import {type Mutant, RAFT_RULES, SINGLE_FAULTS} from './mutant.ts';

const LOG_BROKEN = [
  ...RAFT_RULES,
  'log matching',
  'state hash',
  'state',
  'linearizability',
  'exactly once',
  'monotone',
  'raft',
];

export const RAFT_MUTANTS: readonly Mutant[] = [
  {
    id: 'vote-without-log-check',
    fastSeeds: 40,
    bug: '48 (nats 7549, 7556)',
    what: 'a vote goes to whoever asks, however far its log is behind',
    changes: [
      {
        file: 'raft/voter.ts',
        find: "return state.log.isUpToDate(request.lastIndex, request.lastTerm) ? undefined : 'log is behind';",
        replace: 'return undefined;',
      },
    ],
    by: [...LOG_BROKEN, 'liveness', 'assertion', 'members stay up'],
  },
  {
    id: 'commits-older-term',
    bug: '6 (paper, figure 8)',
    what: 'a leader commits an entry of an earlier term by counting its copies',
    changes: [
      {
        file: 'raft/leader.ts',
        find: 'if (agreed <= before || log.term(agreed) !== state.term) return;',
        replace: 'if (agreed <= before) return;',
      },
      {
        file: 'raft/leader.ts',
        find: "assert(state.isCommittedInTerm, 'a leader committed an entry of another term');",
        replace: '',
      },
      // Else the new term's first entry comes with all older ones, and commits them rightly.
      {file: 'limits.ts', find: 'RAFT_APPEND_BYTES_MAX = 1 * MIB;', replace: 'RAFT_APPEND_BYTES_MAX = 1;'},
    ],
    swarm: {...SINGLE_FAULTS, members: 3, kinds: ['isolate', 'kill']},
    by: LOG_BROKEN,
  },
  {
    id: 'votes-twice',
    bug: '8 (etcd 10000, canonical/raft 386)',
    what: 'a member votes for everybody who asks in a term',
    changes: [
      {
        file: 'raft/voter.ts',
        find: 'if (!isFree) return',
        replace: 'if (!isFree && request.type === "preVote") return',
      },
      {
        file: 'raft/voter.ts',
        find: "assert(state.vote === 0n || state.vote === from, 'a second vote in one term');",
        replace: '',
      },
    ],
    by: ['election safety', ...LOG_BROKEN, 'members stay up', 'assertion'],
  },
  {
    id: 'vote-before-disk',
    fastSeeds: 40,
    bug: '7 (camunda 1068, 5356; akka-raft 47)',
    what: 'a vote leaves before it is on disk',
    changes: [{file: 'raft/raft-state.ts', find: "    case 'voteResponse':\n", replace: ''}],
    by: ['durability', 'election safety', ...LOG_BROKEN],
  },
  {
    id: 'ack-before-disk',
    fastSeeds: 40,
    bug: '17 (etcd 14370)',
    what: 'a follower acknowledges entries before they are on disk',
    changes: [
      {
        file: 'raft/raft-state.ts',
        find: "    case 'appendResponse':\n      return !message.rejected;",
        replace: '      return !message.rejected;',
      },
    ],
    by: [...LOG_BROKEN],
  },
  {
    id: 'leader-counts-unsynced',
    fastSeeds: 40,
    bug: '17 (etcd 14370)',
    what: 'a leader counts and applies its own entries before they are on its disk',
    changes: [
      {
        file: 'raft/leader.ts',
        find: '  state.appendsDue = true;\n  return index;',
        replace:
          '  state.appendsDue = true;\n  if (state.tracker.get(state.id)?.accepted(index)) maybeCommit(state);\n  return index;',
      },
      {
        file: 'raft/log.ts',
        find: 'return this.#applying < Math.min(this.#commit, this.tail.stored);',
        replace: 'return this.#applying < this.#commit;',
      },
      {
        file: 'raft/log.ts',
        find: 'Math.min(this.#commit, this.tail.stored), bytesMax',
        replace: 'this.#commit, bytesMax',
      },
      {
        file: 'raft/leader.ts',
        find: "assert(state.pendingConfIndex > state.log.commit, 'a pending change is committed already');",
        replace: '',
      },
    ],
    by: [...LOG_BROKEN],
  },
  {
    id: 'stale-disk-confirmation',
    bug: '18 (raft, append_aba_race)',
    what: 'the confirmation of an entry that was replaced meanwhile counts for the new one',
    changes: [
      {
        file: 'raft/log-tail.ts',
        find: '(write) => write.last === upTo.index && write.lastTerm === upTo.term,',
        replace: '(write) => write.last >= upTo.index,',
      },
      {
        file: 'raft/log-tail.ts',
        find: 'for (const write of this.#writes) stored = Math.min(stored, write.first - 1);',
        replace: '',
      },
    ],
    swarm: {...SINGLE_FAULTS, members: 3, kinds: ['isolate', 'hungDisk', 'slowDisk']},
    by: [...LOG_BROKEN],
  },
  {
    id: 'ack-of-older-term',
    bug: '24 (etcd 17813)',
    what: 'an acknowledgement from an earlier term counts in this one',
    needs:
      'a slow member beside a leader that is deposed, overwritten and leads again before the answer comes',
    changes: [
      {
        file: 'raft/raft.ts',
        find: '      refuseOldPreVote(state, message);\n    }\n    return false;',
        replace: "      refuseOldPreVote(state, message);\n    }\n    return type === 'appendResponse';",
      },
    ],
    // With fewer than five, what a leader and another have acknowledged is committed, and nobody replaces it.
    swarm: {
      ...SINGLE_FAULTS,
      members: 5,
      kinds: ['halves', 'halves', 'slowMember', 'duplicate', 'moveLeader', 'moveLeader'],
      faultPauseMsMax: 400,
    },
    by: [...LOG_BROKEN, 'assertion', 'members stay up'],
  },
  {
    id: 'old-append-truncates',
    bug: '19 (etcd 14143)',
    what: 'an append that comes late cuts off what came after it',
    changes: [
      {
        file: 'raft/log.ts',
        find: "    if (known === entries.length) return 'ok';\n",
        replace:
          "    if (known === entries.length) {\n      const end = previousIndex + known;\n      if (end >= this.#commit && end < this.lastIndex) this.#truncateFrom(end + 1);\n      return 'ok';\n    }\n",
      },
    ],
    by: [...LOG_BROKEN, 'assertion', 'members stay up'],
  },
  {
    id: 'conflict-overwrites-committed',
    bug: '48 (nats 7556)',
    what: 'a follower gives up committed entries for those of a leader that lacks them',
    changes: [
      {
        file: 'raft/voter.ts',
        find: "return state.log.isUpToDate(request.lastIndex, request.lastTerm) ? undefined : 'log is behind';",
        replace: 'return request.lastIndex >= state.log.commit ? undefined : "log is behind";',
      },
    ],
    by: [...LOG_BROKEN, 'liveness', 'assertion', 'members stay up'],
  },
  {
    id: 'probe-never-goes-back',
    bug: '20 (raft 149)',
    what: "a leader does not go back in a follower's log after a refusal",
    changes: [
      {
        file: 'raft/progress.ts',
        find: 'this.next = Math.max(Math.min(index, hint + 1), this.match + 1);',
        replace: 'this.next = Math.max(index + 1, this.match + 1);',
      },
    ],
    by: ['liveness'],
  },
  {
    id: 'left-behind-leader-not-told',
    bug: '9 (etcd 8243)',
    what: 'a leader of a lower term is not told of the higher one',
    changes: [
      {
        file: 'raft/raft.ts',
        find: "state.send({type: 'appendResponse', from: state.id, to: from, term: state.term, ...refusal});",
        replace: 'void refusal;',
      },
    ],
    swarm: {...SINGLE_FAULTS, members: 3, clients: 4, kinds: ['moveLeader', 'loss']},
    by: ['liveness'],
  },
  {
    id: 'campaign-over-unapplied-change',
    fastSeeds: 40,
    bug: '2 (raft 456, 469)',
    what: 'a member campaigns with a committed configuration change that it has not applied',
    changes: [
      {
        file: 'raft/candidate.ts',
        find: "if (state.log.hasUnappliedConfChange()) return 'a committed configuration change is not applied';",
        replace: '',
      },
      {
        file: 'raft/voter.ts',
        find: "if (state.role !== 'follower' && log.hasUnappliedConfChange()) state.becomeFollower(state.term, 0n);",
        replace: '',
      },
    ],
    swarm: {
      members: 3,
      kinds: ['lateApply', 'campaign', 'jointChange'],
      faultPauseMsMax: 300,
    },
    by: ['election safety', ...LOG_BROKEN],
  },
  {
    id: 'change-before-commit-in-term',
    bug: '1 (Ongaro 2015; copycat 23, axon 120)',
    what: 'a leader changes the configuration before it has committed anything in its term',
    changes: [
      {
        file: 'raft/leader.ts',
        find: "if (!state.isCommittedInTerm) return 'nothing is committed in this term';",
        replace: '',
      },
      {
        file: 'raft/leader.ts',
        find: "if (state.pendingConfIndex > state.log.applied) return 'another change may be pending';",
        replace: '',
      },
    ],
    swarm: {
      members: 3,
      kinds: ['kill', 'isolate', 'campaign', 'slowNetwork'],
      faultPauseMsMax: 300,
      changesMembers: true,
    },
    by: ['election safety', ...LOG_BROKEN],
  },
  {
    id: 'two-changes-pending',
    fastSeeds: 40,
    bug: '3 (raft, becomeLeader)',
    what: 'a leader takes a configuration change while another is on its way',
    changes: [
      {
        file: 'raft/leader.ts',
        find: "if (state.pendingConfIndex > state.log.applied) return 'another change may be pending';",
        replace: '',
      },
    ],
    swarm: {
      members: 3,
      kinds: ['slowDisk', 'slowNetwork', 'campaign'],
      faultPauseMsMax: 300,
      changesMembers: true,
    },
    by: ['election safety', ...LOG_BROKEN],
  },
  {
    id: 'read-without-quorum',
    bug: '16 (etcd 741)',
    what: 'a leader answers reads as long as it believes that it leads',
    changes: [
      {
        file: 'raft/read-rounds.ts',
        find: 'state.reads.proven(state.tracker.quorumReadAcked(), (',
        replace: 'state.reads.proven(state.reads.openRound, (',
      },
    ],
    swarm: {...SINGLE_FAULTS, members: 3, kinds: ['isolate', 'pause'], faultPauseMsMax: 3_000},
    by: ['linearizability', 'read index'],
  },
  {
    id: 'read-before-commit-in-term',
    fastSeeds: 40,
    bug: '13 (etcd 14258)',
    what: 'a new leader answers reads before it has committed an entry of its term',
    changes: [
      {
        file: 'raft/read-rounds.ts',
        find: '!state.reads.isRoundOpen && state.isCommittedInTerm;',
        replace: '!state.reads.isRoundOpen && state.log.commit > 0;',
      },
      {
        file: 'raft/read-rounds.ts',
        find: "assert(state.isCommittedInTerm, 'a read round before a commit in the term');",
        replace: '',
      },
      {
        file: 'raft/replication.ts',
        find: "assert(readContext === 0 || state.isCommittedInTerm, 'a read round before a commit in the term');",
        replace: '',
      },
    ],
    swarm: {members: 3, kinds: ['kill', 'isolate', 'moveLeader', 'campaign'], faultPauseMsMax: 300},
    by: ['linearizability', 'read index'],
  },
  {
    id: 'read-joins-open-round',
    bug: '15 (etcd 20418)',
    what: 'a read that comes while a round is open is answered with the index of its beginning',
    changes: [
      {
        file: 'raft/read-index.ts',
        find: '    this.#waiting.push(read);',
        replace:
          '    const open = this.#rounds.at(-1);\n    if (open !== undefined) (open.reads as Read[]).push(read);\n    if (open !== undefined) this.#inRounds++;\n    else this.#waiting.push(read);',
      },
    ],
    by: ['linearizability', 'read index'],
  },
  {
    id: 'joint-one-half',
    bug: '2 (raft 456)',
    what: 'in a joint configuration only the new half is asked',
    changes: [
      {
        file: 'raft/quorum.ts',
        find: 'if (config.votersOutgoing.length === 0) return incoming;',
        replace: 'return incoming;',
      },
      {
        file: 'raft/quorum.ts',
        find: 'const outgoing = voteResultOfHalf(config.votersOutgoing, vote);',
        replace: 'const outgoing = voteResultOfHalf([], vote);',
      },
    ],
    by: ['election safety', ...LOG_BROKEN],
  },
  {
    id: 'snapshot-over-newer-state',
    bug: '29 (etcd 13933)',
    what: 'a snapshot is taken in though the log is ahead of it',
    changes: [
      {
        file: 'raft/follower.ts',
        find: '  if (meta.index <= log.commit) {\n',
        replace: '  if (meta.index < log.commit - 1_000_000) {\n',
      },
      {
        file: 'raft/follower.ts',
        find: 'if (log.term(meta.index) === meta.term) {',
        replace: 'if (log.term(meta.index) === -1) {',
      },
      {
        file: 'raft/log.ts',
        find: 'assert(meta.index > this.#commit,',
        replace: 'assert(meta.index > 0,',
      },
      {
        file: 'server/snapshotter.ts',
        find: 'if (message.meta.index <= applied) return false;',
        replace: '',
      },
    ],
    by: [...LOG_BROKEN, 'members stay up', 'assertion', 'watch'],
  },
  {
    id: 'forwards-proposal-twice',
    fastSeeds: 40,
    bug: '68 (etcd 14890, 18424)',
    what: 'a follower sends a proposal a second time',
    changes: [
      {
        file: 'raft/raft.ts',
        find: "state.send({type: 'propose', from: state.id, to: state.leader, term: 0, entries});",
        replace:
          "for (let i = 0; i < (state.log.lastIndex % 50 === 0 ? 2 : 1); i++)\n      state.send({type: 'propose', from: state.id, to: state.leader, term: 0, entries});",
      },
    ],
    by: ['exactly once'],
  },
];
