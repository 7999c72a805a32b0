/** Raft's data as short text, for log lines and golden files. */

import {toLatin1} from '../lib/bytes.ts';
import {hex64} from '../lib/hex64.ts';
import type {MemberId} from '../types.ts';
import {decodeConfChange} from './conf-change.ts';
import {type ConfChange, type ConfState, type Entry, EntryType, type Message} from './message.ts';

/** `voters=(1 2 3)&&(1 2) learners=(4) learners_next=(2) autoleave` */
export function describeConf(conf: ConfState): string {
  const outgoing = conf.votersOutgoing.length === 0 ? '' : `&&${describeIds(conf.votersOutgoing)}`;
  return [
    `voters=${describeIds(conf.voters)}${outgoing}`,
    ...(conf.learners.length === 0 ? [] : [`learners=${describeIds(conf.learners)}`]),
    ...(conf.learnersNext.length === 0 ? [] : [`learners_next=${describeIds(conf.learnersNext)}`]),
    ...(conf.autoLeave ? ['autoleave'] : []),
  ].join(' ');
}

/** `add-voter(4) remove(2) joint=explicit`; `leave-joint` for the empty change. */
export function describeConfChange(change: ConfChange): string {
  const names = {addVoter: 'add-voter', addLearner: 'add-learner', remove: 'remove', update: 'update'};
  const steps = change.steps.map(({type, memberId}) => `${names[type]}(${hex64(memberId)})`);
  if (steps.length === 0 && change.joint === 'auto') return 'leave-joint';
  return [...steps, ...(change.joint === 'auto' ? [] : [`joint=${change.joint}`])].join(' ');
}

/** `2/11 "payload"`: term, index, payload. */
export function describeEntry(entry: Entry): string {
  const place = `${entry.term}/${entry.index}`;
  if (entry.type === EntryType.confChange) {
    const change = decodeConfChange(entry.payload);
    return `${place} {${change === undefined ? 'undecodable' : describeConfChange(change)}}`;
  }
  return entry.payload.length === 0 ? `${place} -` : `${place} "${toLatin1(entry.payload)}"`;
}

export function describeEntries(entries: readonly Entry[]): string {
  return `[${entries.map(describeEntry).join(', ')}]`;
}

/** `1->2 append term=2 previous=1/10 commit=11 [2/11 -]` */
export function describeMessage(message: Message): string {
  const term = message.term === 0 ? '' : ` term=${message.term}`;
  const details = describeDetails(message);
  return `${hex64(message.from)}->${hex64(message.to)} ${message.type}${term}${details === '' ? '' : ` ${details}`}`;
}

function describeDetails(message: Message): string {
  switch (message.type) {
    case 'append': {
      const entries = message.entries.length === 0 ? '' : ` ${describeEntries(message.entries)}`;
      return `previous=${message.previousTerm}/${message.previousIndex} commit=${message.commit}${entries}`;
    }
    case 'appendResponse':
      return message.rejected
        ? `rejected=${message.index} hint=${message.hintTerm}/${message.hintIndex}`
        : `accepted=${message.index}`;
    case 'heartbeat':
      return `commit=${message.commit}${message.readContext === 0 ? '' : ` read=${message.readContext}`}`;
    case 'heartbeatResponse':
      return message.readContext === 0 ? '' : `read=${message.readContext}`;
    case 'vote':
    case 'preVote':
      return (
        `last=${message.lastTerm}/${message.lastIndex} commit=${message.commitTerm}/${message.commit}` +
        (message.isTransfer ? ' transfer' : '')
      );
    case 'voteResponse':
    case 'preVoteResponse':
      return `${message.rejected ? 'rejected' : 'granted'} commit=${message.commitTerm}/${message.commit}`;
    case 'snapshot':
      return `at=${message.meta.term}/${message.meta.index} ${describeConf(message.meta.confState)}`;
    case 'timeoutNow':
      return '';
    case 'propose':
      return `[${message.entries.map(describeProposal).join(', ')}]`;
    case 'readIndex':
      return `context=${message.context}`;
    case 'readIndexResponse':
      return `context=${message.context} index=${message.index}`;
    case 'transferLeader':
      return `to=${hex64(message.transferee)}`;
  }
}

function describeProposal({type, payload}: {type: EntryType; payload: Uint8Array}): string {
  if (type === EntryType.normal) return `"${toLatin1(payload)}"`;
  const change = decodeConfChange(payload);
  return change === undefined ? '{undecodable}' : `{${describeConfChange(change)}}`;
}

function describeIds(ids: readonly MemberId[]): string {
  return `(${ids.map(hex64).join(' ')})`;
}
