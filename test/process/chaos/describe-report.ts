/** What a run of chaos did, in words. */

import {FAULT_KINDS} from './chaos-fault.ts';
import type {ChaosReport} from './chaos-run.ts';

export function describeReport(members: number, report: ChaosReport): string {
  const {answered, unknown, unsent, seconds, faults} = report;
  const perSecond = (count: number) => Math.round(count / seconds);
  const asked = answered + unknown + unsent;
  const kinds = FAULT_KINDS.map((kind) => {
    const count = faults.get(kind);
    return count === undefined ? `${kind}: not possible here` : `${kind} ${count.felt} of ${count.begun}`;
  });
  return [
    `${members} members, ${Math.round(seconds)} s: ${answered} operations answered, ${perSecond(answered)} per second`,
    `of ${asked} asked, ${perSecond(asked)} per second; ${unknown} of unknown fate, ${unsent} never sent`,
    `revision ${report.revision}, ${report.watchEvents} events of watches resumed ${report.resumed} times`,
    `${report.leases} leases, ${report.expired} expired`,
    `checked in ${report.checkSeconds.toFixed(1)} s, ${report.undecidedParts} sets of keys undecided`,
    `faults felt: ${kinds.join(', ')}`,
  ].join('\n  ');
}
