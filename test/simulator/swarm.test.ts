import {describe, expect, it} from 'vitest';
import {isPartOfSwarm} from './swarm.ts';

describe('a swarm by hand', () => {
  it.each([
    [{}, true],
    [{members: 5, kinds: ['kill', 'lateApply'], clientMix: 'leases', overlayBytesMax: 4_096}, true],
    [{member: 5}, false],
    [{members: '5'}, false],
    [{kinds: ['kill', 'murder']}, false],
    [{kinds: 'kill'}, false],
    [[], false],
    [null, false],
  ])('Ensure that a name, a kind or a form that nobody reads is refused: %j', (value, fits) => {
    expect(isPartOfSwarm(value)).toBe(fits);
  });
});
