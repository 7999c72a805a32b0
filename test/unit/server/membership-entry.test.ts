/** Changes of the member list as entries of the log hold them. */

import {describe, expect, it} from 'vitest';
import {
  decodeMembershipRequest,
  encodeMembershipRequest,
} from '../../../src/engine/server/membership-entry.ts';
import {failure} from '../state-machine/machine.ts';

const MEMBER = {id: 2n ** 64n - 1n, name: 'a', peerURLs: ['http://a:1'], clientURLs: [], isLearner: true};
const REQUEST = {proposer: 7n, requestId: 9, change: {type: 'add', member: MEMBER, learnersMax: 3}} as const;
const JSON_AT = 17;

describe('a membership change in the log', () => {
  it('Ensure that it is read as it was written.', () => {
    expect(decodeMembershipRequest(encodeMembershipRequest(REQUEST))).toEqual(REQUEST);
  });

  it.each([
    '',
    'null',
    '{"type":"add"}',
    '{"type":"add","member":null}',
    '{"type":"other","member":{"id":"1","name":"","peerURLs":[],"clientURLs":[],"isLearner":false}}',
    '{"type":"add","member":{"id":"x","name":"","peerURLs":[],"clientURLs":[],"isLearner":false}}',
    '{"type":"add","member":{"id":"1","name":"","peerURLs":[["http://a:1"]],"clientURLs":[],"isLearner":false}}',
  ])('Ensure that damage is told as such: %s.', (json) => {
    const head = encodeMembershipRequest(REQUEST).subarray(0, JSON_AT);
    expect(failure(() => decodeMembershipRequest(Buffer.concat([head, Buffer.from(json)])))).toBe(
      'walCorrupt',
    );
  });
});
