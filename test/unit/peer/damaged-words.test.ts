/** Words of a peer that have the right form and say what nobody says: none of them may end this member. */

import {Packr} from 'msgpackr';
import {describe, expect, it} from 'vitest';
import {parseEndpointUrl} from '../../../src/config/url.ts';
import {EngineError} from '../../../src/engine/errors.ts';
import {statusOf} from '../../../src/transport/api/error-status.ts';
import {unpackFrame} from '../../../src/transport/peer/frame-codec.ts';
import {decodeMessage, MalformedFrameError} from '../../../src/transport/peer/message-codec.ts';
import {parsePeerUrl} from '../../../src/transport/peer/peer-url.ts';
import {readControl} from '../../../src/transport/peer/snapshot-sender.ts';

const packr = new Packr({useRecords: false, useBigIntExtension: true});
const FAILURE = 3;
const VOTE = 5;

function failureIn(value: unknown) {
  const frame = unpackFrame(packr.pack([FAILURE, 1, value]));
  if (frame.type !== 'failure') throw new Error('a failure was expected');
  return frame.failure;
}

describe('words of a peer', () => {
  it('Ensure that a failure with anything in it can be told.', () => {
    const failure = failureIn({code: 'unhealthy', detail: {toString: 1}, urls: ['a'], count: 5});
    expect(new EngineError(failure).message).toBe('unhealthy: urls=a count=5');
    expect(() => failureIn({detail: 'x'})).toThrow(MalformedFrameError);
  });

  it('Ensure that a failure of a later version is told to clients as one.', () => {
    const failure = failureIn({code: 'fromTheFuture'});
    expect(statusOf(failure.code).message).toBe('kvd: refused by a member of another version');
    expect(statusOf(failureIn({code: 'toString'}).code).status).toBe(2);
  });

  it('Ensure that an id of more than 64 bits is none.', () => {
    const ends = {from: 2n, to: 1n};
    const vote = (from: unknown) => decodeMessage([VOTE, 5, from, 3, 2, false, 0, 0], ends);
    const [largest, beyond] = packr.unpack(packr.pack([2n ** 64n - 1n, 2n ** 64n])) as bigint[];
    expect(vote(largest)).toMatchObject({from: 2n ** 64n - 1n});
    expect(() => vote(beyond)).toThrow(MalformedFrameError);
  });

  it.each([
    ['{"type":"failed"}', undefined],
    ['{"type":"failed","failure":5}', undefined],
    ['{"type":"end","bytes":"5","crc":7}', undefined],
    ['{"type":"other"}', undefined],
    ['null', undefined],
    ['{"type":"taken","more":1}', {type: 'taken'}],
    ['{"type":"failed","failure":{"code":"timeout"}}', {type: 'failed', failure: {code: 'timeout'}}],
  ])('Ensure that the end of a snapshot says %s and harms nobody.', (text, expected) => {
    expect(readControl(Buffer.from(text))).toEqual(expected);
  });

  it.each([
    'http://[fe80::1%br-lan]:2380',
    'http://[fe80::1%ETH_0.5]:2380',
    'unix:///',
    'unix://a\0b',
    'unix:///x',
  ])('Ensure that who adds members takes "%s" for a URL only if who dials does.', (text) => {
    if (typeof parseEndpointUrl(text) === 'string') expect(() => parsePeerUrl(text)).toThrow(EngineError);
    else expect(parsePeerUrl(text).text).toBe(text);
  });
});
