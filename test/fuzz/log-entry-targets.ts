/** What entries of the log hold: commands, changes of the configuration, changes of the member list. */

import fc from 'fast-check';
import {changeConf, decodeConfChange, encodeConfChange} from '../../src/engine/raft/conf-change.ts';
import type {ConfChange} from '../../src/engine/raft/message.ts';
import {
  decodeMembershipRequest,
  encodeMembershipRequest,
  type MembershipRequest,
} from '../../src/engine/server/membership-entry.ts';
import {decodeProposal, encodeProposal} from '../../src/engine/state-machine/command-codec.ts';
import type {SeededRandom} from '../simulator/seeded-random.ts';
import {confStateOf} from '../unit/raft/raft-member.ts';
import {command} from '../unit/state-machine/commands.ts';
import {type FuzzTarget, neverRefuses, promiseSame, refusesWith} from './fuzz-target.ts';
import {oneOf} from './mutate.ts';
import {jsonText, mutatedValue} from './mutate-value.ts';

const MEMBER = {
  id: 0xfedcba9876543210n,
  name: 'a',
  peerURLs: ['http://a:1'],
  clientURLs: ['http://a:2'],
  isLearner: false,
};
const REQUESTS: readonly MembershipRequest[] = (['add', 'promote', 'remove', 'update'] as const).map(
  (type, i) => ({
    proposer: 7n,
    requestId: i,
    change: {type, member: {...MEMBER, isLearner: i === 0}, learnersMax: i === 0 ? 3 : undefined},
  }),
);
const MEMBERSHIP_HEADER_BYTES = 17;

const CHANGES: readonly ConfChange[] = [
  {steps: [{type: 'addVoter', memberId: 9n}], joint: 'auto', context: encodeMembershipRequest(REQUESTS[0])},
  {
    steps: [
      {type: 'remove', memberId: 1n},
      {type: 'addLearner', memberId: 2n},
    ],
    joint: 'explicit',
    context: Buffer.alloc(0),
  },
  {steps: [{type: 'update', memberId: 3n}], joint: 'implicit', context: Buffer.from('x')},
  {steps: [], joint: 'auto', context: Buffer.alloc(0)},
];
const CONFIGURATIONS = [
  confStateOf({voters: [1n, 2n, 3n], learners: [4n]}),
  confStateOf({voters: [1n]}),
  {voters: [1n, 2n], votersOutgoing: [1n, 3n], learners: [4n], learnersNext: [3n], autoLeave: true},
];

export const LOG_ENTRY_TARGETS: readonly FuzzTarget[] = [
  {
    name: 'log-entries',
    samples: fc
      .sample(command, {numRuns: 200, seed: 1})
      .map((one) => encodeProposal({proposer: 7n, requestId: 9, command: one})),
    run: (bytes) => {
      const written = encodeProposal(decodeProposal(bytes));
      promiseSame(encodeProposal(decodeProposal(written)), written);
    },
    isRefusal: refusesWith('walCorrupt', 'formatUnsupported'),
  },
  {
    name: 'log-configurations',
    samples: CHANGES.map(encodeConfChange),
    malform: anyConfChange,
    run: (bytes) => {
      const change = decodeConfChange(bytes);
      if (change === undefined) return;
      promiseSame(decodeConfChange(encodeConfChange(change)), change);
      // Possible or refused, from whatever configuration.
      for (const conf of CONFIGURATIONS) changeConf(conf, change);
    },
    // What is none is undefined.
    isRefusal: neverRefuses,
  },
  {
    name: 'log-members',
    samples: REQUESTS.map(encodeMembershipRequest),
    malform: (random) => {
      const bytes = Buffer.from(encodeMembershipRequest(oneOf(random, REQUESTS)));
      const value: unknown = JSON.parse(bytes.toString('utf8', MEMBERSHIP_HEADER_BYTES));
      return Buffer.concat([
        bytes.subarray(0, MEMBERSHIP_HEADER_BYTES),
        Buffer.from(jsonText(mutatedValue(random, value))),
      ]);
    },
    run: (bytes) => {
      const request = decodeMembershipRequest(bytes);
      promiseSame(decodeMembershipRequest(encodeMembershipRequest(request)), request);
    },
    isRefusal: refusesWith('walCorrupt', 'formatUnsupported'),
  },
];

const STEPS = ['addVoter', 'addLearner', 'remove', 'update'] as const;

/** Any steps for members of the configurations above, and one of nobody. */
function anyConfChange(random: SeededRandom): Uint8Array {
  const steps = Array.from({length: random.below(7)}, () => {
    return {type: oneOf(random, STEPS), memberId: BigInt(random.below(6))};
  });
  const joint = oneOf(random, ['auto', 'implicit', 'explicit'] as const);
  return encodeConfChange({steps, joint, context: Buffer.alloc(0)});
}
