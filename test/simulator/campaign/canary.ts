/** A run that has to fail: a member that leaves out a write breaks a promise, and whoever checks has to say so. */

import {SimulatedCluster, type SimulationReport} from '../simulated-cluster.ts';
import type {Life} from '../simulated-member.ts';

const SEED = 4_242;
/** Where the member goes wrong, and how that shows. */
const INDEX = 100;
const SYMPTOMS = ['state hash', 'state'];

/** @returns what the run says; `isCaught`: it fails as it must */
export async function runCanary(): Promise<{report: SimulationReport; isCaught: boolean}> {
  const cluster = new SimulatedCluster({
    seed: SEED,
    operations: 1_000,
    overrides: {members: 3, kinds: ['linkBreak'], snapshotCount: 10_000, changesMembers: false},
  });
  const broken = new Set<Life>();
  const look = (): void => {
    for (const {life} of cluster.members) {
      if (life?.opened === undefined || life.network.host !== 'm2' || broken.has(life)) continue;
      broken.add(life);
      leaveOut(life);
    }
    cluster.queue.after(5, look);
  };
  cluster.queue.after(1, look);
  const report = await cluster.run();
  return {report, isCaught: SYMPTOMS.includes(report.violation?.invariant ?? '')};
}

function leaveOut({opened}: Life): void {
  if (opened === undefined) return;
  const {stateMachine, identity} = opened;
  const apply = stateMachine.apply.bind(stateMachine);
  stateMachine.apply = (entry) => {
    // The first write from there on; other commands may leave no trace at once. Another member's: the client of its own
    // would miss the answer before anybody looks at the state.
    const {index, proposal} = entry;
    const isHit =
      index >= INDEX && proposal?.command.type === 'put' && proposal.proposer !== identity.memberId;
    return apply(isHit ? {...entry, proposal: undefined} : entry);
  };
}
