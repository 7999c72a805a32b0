/**
 * How a configuration changes (thesis, chapter 4), and the bytes of a change in the log.
 *
 * One step changes at most one voter: old and new majorities overlap, nothing else is needed. More steps go through
 * a joint configuration, in which both halves decide, and which a second, empty change leaves. All functions are
 * pure: every member that applies the same entries arrives at the same configuration.
 */

import {assert} from '../errors.ts';
import {asBuffer, EMPTY_BYTES} from '../lib/bytes.ts';
import type {MemberId} from '../types.ts';
import type {ConfChange, ConfChangeStep, ConfState} from './message.ts';

export const EMPTY_CONF_STATE: ConfState = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

/** The change that leaves a joint configuration. */
export const LEAVE_JOINT: ConfChange = {steps: [], joint: 'auto', context: EMPTY_BYTES};

export type ConfChangeResult = {readonly conf: ConfState} | {readonly refused: string};

export function isJoint(conf: ConfState): boolean {
  return conf.votersOutgoing.length > 0;
}

export function leavesJoint(change: ConfChange): boolean {
  return change.steps.length === 0 && change.joint === 'auto';
}

/** Whether the change goes through a joint configuration. */
export function entersJoint(change: ConfChange): boolean {
  return change.joint !== 'auto' || change.steps.length > 1;
}

/** The configuration after the change, or why it is not possible from this one. */
export function changeConf(conf: ConfState, change: ConfChange): ConfChangeResult {
  if (leavesJoint(change)) {
    return isJoint(conf) ? {conf: leaveJoint(conf)} : {refused: 'not in a joint configuration'};
  }
  if (isJoint(conf)) return {refused: 'already in a joint configuration'};
  if (change.steps.some(({memberId}) => memberId === 0n)) return {refused: 'member id 0'};

  const draft = new Draft(conf);
  if (entersJoint(change)) draft.outgoing = new Set(conf.voters);
  for (const step of change.steps) draft.apply(step);
  if (draft.voters.size === 0) return {refused: 'no voter would be left'};
  if (!entersJoint(change) && differences(conf.voters, draft.voters) > 1) {
    return {refused: 'more than one voter changes outside a joint configuration'};
  }
  return {conf: checked(draft.toConfState(entersJoint(change) && change.joint !== 'explicit'))};
}

/** A configuration while steps are applied to it. */
class Draft {
  readonly voters: Set<MemberId>;
  outgoing = new Set<MemberId>();
  readonly learners: Set<MemberId>;
  /** Voters of the outgoing half that become learners when the joint configuration is left. */
  readonly learnersNext = new Set<MemberId>();

  constructor(conf: ConfState) {
    this.voters = new Set(conf.voters);
    this.learners = new Set(conf.learners);
  }

  apply({type, memberId}: ConfChangeStep): void {
    if (type === 'update') return;
    this.voters.delete(memberId);
    this.learners.delete(memberId);
    this.learnersNext.delete(memberId);
    if (type === 'addVoter') this.voters.add(memberId);
    if (type === 'addLearner') {
      // A member must not be voter and learner at once: one that still votes in the outgoing half waits.
      if (this.outgoing.has(memberId)) this.learnersNext.add(memberId);
      else this.learners.add(memberId);
    }
  }

  toConfState(autoLeave: boolean): ConfState {
    return {
      voters: ascending(this.voters),
      votersOutgoing: ascending(this.outgoing),
      learners: ascending(this.learners),
      learnersNext: ascending(this.learnersNext),
      autoLeave,
    };
  }
}

function leaveJoint(conf: ConfState): ConfState {
  return checked({
    voters: conf.voters,
    votersOutgoing: [],
    learners: ascending([...conf.learners, ...conf.learnersNext]),
    learnersNext: [],
    autoLeave: false,
  });
}

function differences(before: readonly MemberId[], after: ReadonlySet<MemberId>): number {
  const removed = before.filter((id) => !after.has(id)).length;
  const added = after.size - (before.length - removed);
  return removed + added;
}

function ascending(ids: Iterable<MemberId>): MemberId[] {
  return [...ids].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

function checked(conf: ConfState): ConfState {
  const isVoter = (id: MemberId) => conf.voters.includes(id) || conf.votersOutgoing.includes(id);
  assert(conf.voters.length > 0, 'a configuration without voters');
  assert(!conf.learners.some(isVoter), 'a member is learner and voter');
  assert(
    conf.learnersNext.every((id) => conf.votersOutgoing.includes(id) && !conf.voters.includes(id)),
    'a learner-to-be is no outgoing voter',
  );
  assert(
    isJoint(conf) || (conf.learnersNext.length === 0 && !conf.autoLeave),
    'joint marks outside a joint state',
  );
  return conf;
}

// ---- Bytes --------------------------------------------------------------------------------------------------
//
//     version 1 │ joint 1 │ steps 2 │ (type 1 │ member id 8)* │ context …          big endian

const VERSION = 1;
const HEADER_BYTES = 4;
const STEP_BYTES = 9;
const STEPS_MAX = 0xffff;
const JOINT_CODES = ['auto', 'implicit', 'explicit'] as const;
const STEP_CODES = ['addVoter', 'addLearner', 'remove', 'update'] as const;

export function encodeConfChange(change: ConfChange): Uint8Array {
  assert(change.steps.length <= STEPS_MAX, 'a conf change with too many steps');
  const bytes = Buffer.alloc(HEADER_BYTES + change.steps.length * STEP_BYTES + change.context.length);
  bytes[0] = VERSION;
  bytes[1] = JOINT_CODES.indexOf(change.joint);
  bytes.writeUInt16BE(change.steps.length, 2);
  change.steps.forEach(({type, memberId}, i) => {
    const at = HEADER_BYTES + i * STEP_BYTES;
    bytes[at] = STEP_CODES.indexOf(type);
    bytes.writeBigUInt64BE(memberId, at + 1);
  });
  bytes.set(change.context, HEADER_BYTES + change.steps.length * STEP_BYTES);
  return bytes;
}

/** @returns undefined for bytes that {@link encodeConfChange} does not make; `context` shares their memory */
export function decodeConfChange(payload: Uint8Array): ConfChange | undefined {
  const bytes = asBuffer(payload);
  if (bytes.length < HEADER_BYTES || bytes[0] !== VERSION) return undefined;
  const joint = JOINT_CODES[bytes[1]];
  const count = bytes.readUInt16BE(2);
  const contextAt = HEADER_BYTES + count * STEP_BYTES;
  if (joint === undefined || bytes.length < contextAt) return undefined;
  const steps: ConfChangeStep[] = [];
  for (let at = HEADER_BYTES; at < contextAt; at += STEP_BYTES) {
    const type = STEP_CODES[bytes[at]];
    if (type === undefined) return undefined;
    steps.push({type, memberId: bytes.readBigUInt64BE(at + 1)});
  }
  return {steps, joint, context: bytes.subarray(contextAt)};
}
