/** What an operator may do at a bad moment. */

import type {FaultScene, OperatorFault, Stroke} from './fault-kinds.ts';

export function strikeAsOperator(kind: OperatorFault, scene: FaultScene, {member}: Stroke): void {
  const {random, members, onAssertion} = scene;
  const {life} = member;
  const server = life?.server;
  if (life === undefined || server === undefined || life.isStopping) return;
  const target = members[random.below(members.length)].life?.opened?.identity.memberId ?? 0n;
  life.clock.enter(() => {
    if (kind === 'campaign') {
      life.replica?.loop.campaign();
      return;
    }
    const asked = kind === 'moveLeader' ? server.moveLeader(target) : server.defragment();
    asked.catch((error: unknown) => onAssertion(error));
  });
}
