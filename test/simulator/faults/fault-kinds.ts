/** The kinds of faults, by what they strike. Each is on or off for a whole run. */

import type {Casualties} from '../casualties.ts';
import type {SeededRandom} from '../seeded-random.ts';
import type {SimulatedMember} from '../simulated-member.ts';
import type {SimulatedNetwork} from '../simulated-network.ts';

export const NETWORK_FAULTS = [
  'isolate',
  'halves',
  'star',
  'bridge',
  'ring',
  'oneWay',
  'linkBreak',
  'halfOpen',
  'clientCut',
  'loss',
  'duplicate',
  'reorder',
  'slowNetwork',
  'slowMember',
] as const;
export const PROCESS_FAULTS = [
  'kill',
  'power',
  'crashAtDisk',
  'pause',
  'stop',
  'secondStart',
  'clockRate',
  'clockJump',
  'lateApply',
  'lateSweep',
] as const;
export const DISK_FAULTS = ['slowDisk', 'hungDisk', 'syncError', 'ioError', 'fullStore', 'fullDisk'] as const;
export const FILE_FAULTS = ['flippedBit', 'staleFile', 'missingFile', 'wipedDisk'] as const;
export const OPERATOR_FAULTS = ['moveLeader', 'defragment', 'campaign', 'noSpace', 'jointChange'] as const;

export type NetworkFault = (typeof NETWORK_FAULTS)[number];
export type ProcessFault = (typeof PROCESS_FAULTS)[number];
export type DiskFault = (typeof DISK_FAULTS)[number];
export type FileFault = (typeof FILE_FAULTS)[number];
export type OperatorFault = (typeof OPERATOR_FAULTS)[number];
export type FaultKind = NetworkFault | ProcessFault | DiskFault | FileFault | OperatorFault;

export const ADDED_FAULTS: readonly FaultKind[] = [...FILE_FAULTS, 'slowMember', 'lateApply', 'lateSweep'];
/** Those that swarms have always had. */
export const FIRST_FAULTS: readonly FaultKind[] = [
  ...PROCESS_FAULTS,
  ...NETWORK_FAULTS,
  ...DISK_FAULTS,
  ...OPERATOR_FAULTS,
].filter((kind) => !ADDED_FAULTS.includes(kind));
export const FAULT_KINDS: readonly FaultKind[] = [...FIRST_FAULTS, ...ADDED_FAULTS];

/** What a fault may touch. */
export interface FaultScene {
  readonly random: SeededRandom;
  readonly network: SimulatedNetwork;
  readonly members: readonly SimulatedMember[];
  /** Hosts of clients in the network. */
  readonly clients: readonly string[];
  readonly clockRateMax: number;
  readonly casualties: Casualties;
  /** Members come and go: nobody may be made a voter again who is none by then. */
  readonly changesMembers: boolean;
  /** Runs it after this time unless all faults have ended by then; what ends with all faults is not its to do. */
  later(ms: number, action: () => void): void;
  /** What a call into a member from outside may not throw. */
  readonly onAssertion: (error: unknown) => void;
  readonly violate: (invariant: string, detail: string) => void;
  /** Asks all members for the hash of the same revision, as somebody who compares them. */
  readonly askHashes: () => void;
  /** For the log of the run. */
  readonly note: (text: string) => void;
  /** A point is reached that not every fault of a kind reaches. */
  readonly reach: (point: string) => void;
  /** A fault that may come late, or not at all, has struck. */
  readonly struck: (kind: FaultKind) => void;
}

/** Whom a fault strikes, and for how long, milliseconds. */
export interface Stroke {
  readonly member: SimulatedMember;
  readonly ms: number;
}
