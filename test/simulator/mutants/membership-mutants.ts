/** Bugs of who is a member. */

import type {Swarm} from '../swarm.ts';
import {type Mutant, RAFT_RULES, ROTTING_LOGS, SINGLE_FAULTS} from './mutant.ts';

const SPLIT = [
  ...RAFT_RULES,
  'election safety',
  'configuration',
  'log matching',
  'state hash',
  'state',
  'linearizability',
  'monotone',
];

/** Disks that are emptied while the others are hard to reach. */
const WIPED_DISKS: Partial<Swarm> = {kinds: ['wipedDisk', 'kill', 'isolate', 'halves', 'power'], members: 3};

export const MEMBERSHIP_MUTANTS: readonly Mutant[] = [
  {
    id: 'configuration-not-kept',
    fastSeeds: 40,
    bug: '26 (etcd 13196)',
    what: 'the configuration on disk stays as it was founded, whoever came and went',
    changes: [
      {
        file: 'state-machine/state-machine.ts',
        find: "    this.#effects.put('meta', CONF_STATE_KEY, encodeConfState(confState));",
        replace: "    if (index < 6) this.#effects.put('meta', CONF_STATE_KEY, encodeConfState(confState));",
      },
    ],
    by: [...SPLIT, 'liveness', 'members stay up', 'assertion'],
  },
  {
    id: 'removed-still-counts',
    bug: '26 (etcd 13196)',
    what: 'a member that is removed from the list still counts in every majority',
    changes: [
      {
        file: 'raft/conf-change.ts',
        find: '    this.voters.delete(memberId);\n    this.learners.delete(memberId);',
        replace:
          "    if (type === 'remove') return;\n    this.voters.delete(memberId);\n    this.learners.delete(memberId);",
      },
      {
        file: 'server/applier.ts',
        find: 'return !isVoter && !isLearner;',
        replace: 'return true;',
      },
    ],
    by: [...SPLIT, 'liveness'],
  },
  {
    id: 'wiped-member-returns',
    bug: '19 (etcd 14143, nats 7567)',
    what: 'a member whose disk was wiped starts anew under its old id',
    changes: [
      {
        file: 'server/bootstrap.ts',
        find: "if (!isRemoved && (known === undefined || known.name === '')) continue;",
        replace: 'if (known === known) continue;',
      },
    ],
    swarm: WIPED_DISKS,
    by: [...SPLIT, 'exactly once', 'members stay up', 'refusal'],
  },
  {
    id: 'founder-waits-for-nobody',
    bug: '19 (etcd 14143, nats 7567)',
    what: 'a founder that nobody answers takes part at once',
    changes: [
      {
        file: 'server/replica.ts',
        find: 'takesPart: opened.strangersMin === 0,',
        replace: 'takesPart: true,',
      },
    ],
    swarm: WIPED_DISKS,
    by: [...SPLIT, 'exactly once', 'members stay up', 'refusal'],
  },
  {
    id: 'doubt-ignored',
    bug: '19 (etcd 14143)',
    what: 'a member that may have lost the end of its log votes and acknowledges as if it had not',
    swarm: ROTTING_LOGS,
    changes: [
      {
        file: 'server/open-member.ts',
        find: 'probation: contents.doubtfulIndex,',
        replace: 'probation: 0,',
      },
    ],
    by: [...SPLIT, 'exactly once'],
  },
  {
    id: 'learner-promoted-early',
    fastSeeds: 40,
    bug: '25 (etcd 3.5.7)',
    what: 'a learner may be promoted however far it is behind',
    changes: [
      {
        file: 'server/membership.ts',
        find: "if (learner.match < leader.match * LEARNER_READY_RATIO) throw new EngineError({code: 'learnerNotReady'});",
        replace: '',
      },
    ],
    swarm: {members: 3, changesMembers: true},
    by: ['liveness', 'learner'],
  },
  {
    id: 'learner-counts',
    bug: '25 (etcd 3.5.20)',
    what: "a learner's copy counts for a commit",
    changes: [
      {
        file: 'raft/progress-tracker.ts',
        find: 'return agreedIndex(this.#conf, this.#matchOf);',
        replace:
          'const {voters, votersOutgoing, learners} = this.#conf;\n    return learners.length === 0\n      ? agreedIndex(this.#conf, this.#matchOf)\n      : Math.max(agreedIndex(this.#conf, this.#matchOf), agreedIndex({voters: [...learners, ...voters.slice(learners.length)], votersOutgoing}, this.#matchOf));',
      },
    ],
    swarm: {...SINGLE_FAULTS, members: 3, kinds: ['jointChange', 'isolate'], changesMembers: false},
    by: [...SPLIT, 'exactly once', 'assertion', 'members stay up'],
  },
  {
    id: 'promotion-not-kept',
    fastSeeds: 40,
    bug: '25 (etcd 3.6.4)',
    what: 'a promotion changes the configuration, but the list keeps the learner',
    changes: [
      {
        file: 'state-machine/members.ts',
        find: "type === 'promote' ? {...known, isLearner: false} :",
        replace: "type === 'promote' ? known :",
      },
    ],
    swarm: {members: 3, changesMembers: true},
    by: [...SPLIT, 'liveness', 'assertion', 'members stay up'],
  },
];
