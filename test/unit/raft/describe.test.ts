import {expect, it} from 'vitest';
import {describeConf, describeConfChange, describeMessage} from '../../../src/engine/raft/describe.ts';

it('Ensure that members are called by their ids in hex, as in every other line of the log.', () => {
  const [a, b, c, d] = [0xfedcba9876543210n, 10n, 0x1fn, 0xcen];
  const conf = {voters: [a], votersOutgoing: [b], learners: [c], learnersNext: [d], autoLeave: false};
  const ids = 'voters=(fedcba9876543210)&&(a) learners=(1f) learners_next=(ce)';
  expect(describeConf(conf)).toBe(ids);
  const step = {type: 'addVoter', memberId: a} as const;
  expect(describeConfChange({steps: [step], joint: 'auto', context: Buffer.alloc(0)})).toBe(
    'add-voter(fedcba9876543210)',
  );
  expect(describeMessage({type: 'transferLeader', from: a, to: b, term: 3, transferee: c})).toBe(
    'fedcba9876543210->a transferLeader term=3 to=1f',
  );
});
