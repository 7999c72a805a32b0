/** What a seed decides once for its run: size, rhythm and bounds of a cluster, and which kinds of faults it suffers. */

import {ADDED_FAULTS, FAULT_KINDS, type FaultKind, FIRST_FAULTS} from './faults/fault-kinds.ts';
import {SeededRandom} from './seeded-random.ts';
import type {ClientMix} from './sim-client.ts';

export interface Swarm {
  readonly members: number;
  readonly clients: number;
  /** Requests that a client has under way at a time. */
  readonly requestsAtOnce: number;
  readonly watchers: number;
  /** Clients that take locks. */
  readonly lockers: number;
  /** The longest TTL that clients ask for. */
  readonly leaseSecondsMax: number;
  readonly keyCount: number;
  readonly valueBytesMax: number;
  readonly snapshotCount: number;
  readonly catchupEntries: number;
  readonly walSegmentBytes: number;
  readonly heartbeatMs: number;
  readonly electionMs: number;
  readonly clientPauseMsMax: number;
  readonly faultPauseMsMax: number;
  readonly clockRateMax: number;
  readonly changesMembers: boolean;
  /** 0: none. Else little enough that it is reached, where somebody makes room again. */
  readonly quotaBytes: number;
  readonly kinds: readonly FaultKind[];
  /** Of a member's overlay; undefined: production's. */
  readonly overlayBytesMax?: number | undefined;
  /** What all clients mostly ask; undefined: each draws that for itself. */
  readonly clientMix?: ClientMix | undefined;
}

/** Of what `--swarm` may say: a name or a kind that nobody reads would change nothing, in silence. */
export function isPartOfSwarm(value: unknown): value is Partial<Swarm> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const whole: Swarm = {
    ...drawSwarm(new SeededRandom(1), new SeededRandom(2)),
    overlayBytesMax: 1,
    clientMix: 'leases',
  };
  const known = new Map<string, unknown>(Object.entries(whole));
  return Object.entries(value).every(([name, part]) =>
    name === 'kinds'
      ? Array.isArray(part) && part.every((kind) => FAULT_KINDS.includes(kind))
      : typeof part === typeof known.get(name),
  );
}

/** `added`: another stream, for kinds of faults that came later, so that a seed stays what it was but for them. */
export function drawSwarm(random: SeededRandom, added: SeededRandom): Swarm {
  const pick = <T>(...choices: T[]): T => choices[random.below(choices.length)];
  const electionMs = pick(300, 1_000);
  const members = pick(1, 1, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 5, 5, 5, 5, 6, 7, 7);
  const kinds = drawKinds(random);
  return {
    members,
    // Mostly a crowd, so that a message, a sync and a batch carry many requests; a lone client meets other bugs.
    clients: pick(1, 2, 4, 8, 8, 16, 16, 32),
    requestsAtOnce: pick(1, 1, 2, 4),
    watchers: random.below(6),
    lockers: random.below(3) === 0 ? 1 + random.below(4) : 0,
    keyCount: pick(2, 5, 20, 60),
    valueBytesMax: pick(1, 20, 500),
    snapshotCount: pick(5, 20, 100, 10_000),
    catchupEntries: pick(1, 5, 30),
    walSegmentBytes: pick(4_096, 16_384, 65_536),
    heartbeatMs: electionMs / 10,
    electionMs,
    clientPauseMsMax: pick(2, 5, 30, 100),
    faultPauseMsMax: pick(300, 1_000, 3_000),
    clockRateMax: pick(1.0001, 1.02, 1.2),
    changesMembers: members > 1 && random.below(3) === 0,
    kinds: [...kinds, ...ADDED_FAULTS.filter(() => added.below(5) < 2)],
    // Those that live through several leaders; clusters have to wait for their end.
    leaseSecondsMax: added.below(4) === 0 ? 15 : 7,
    quotaBytes: kinds.includes('noSpace') ? pick(0, 30_000, 100_000) : 0,
  };
}

/** Never none at all: what goes wrong without any fault goes wrong between two of them as well. */
function drawKinds(random: SeededRandom): FaultKind[] {
  const kinds = FIRST_FAULTS.filter(() => random.below(5) < 2);
  return kinds.length > 0 ? kinds : [FIRST_FAULTS[random.below(FIRST_FAULTS.length)]];
}
