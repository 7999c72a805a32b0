/** What an operator may do at a bad moment. */

import type {ConfChangeStep} from '../../../src/engine/raft/message.ts';
import type {Server} from '../../../src/engine/server/server.ts';
import {AlarmType, type MemberId} from '../../../src/engine/types.ts';
import type {SimulatedMember} from '../simulated-member.ts';
import type {FaultScene, OperatorFault, Stroke} from './fault-kinds.ts';

/** Between attempts to take an alarm back. */
const RELIEF_RETRY_MS = 300;

/** @returns whether there was anybody to ask */
export function strikeAsOperator(kind: OperatorFault, scene: FaultScene, {member, ms}: Stroke): boolean {
  const {random, members} = scene;
  const target = members[random.below(members.length)].life?.opened?.identity.memberId ?? 0n;
  switch (kind) {
    case 'campaign':
      member.life?.clock.enter(() => member.replica?.loop.campaign());
      return member.replica !== undefined;
    case 'moveLeader':
      // Mostly the operator knows whom to ask; any other member refuses.
      return askServer(scene, random.below(4) === 0 ? member : (leaderOf(scene) ?? member), (server) =>
        server.moveLeader(target),
      );
    case 'defragment':
      return askServer(scene, member, (server) => server.defragment());
    case 'noSpace':
      scene.later(ms, () => relieve(scene));
      return askServer(scene, member, (server) =>
        server.alarmActivate({memberId: server.memberId, alarm: AlarmType.noSpace}),
      );
    case 'jointChange':
      return changeJointly(scene);
  }
}

const leaderOf = ({members}: FaultScene): SimulatedMember | undefined =>
  members.find(({replica}) => replica?.loop.isLeader === true);

function askServer(
  {onAssertion}: FaultScene,
  {life}: SimulatedMember,
  ask: (server: Server) => Promise<unknown>,
): boolean {
  const server = life?.server;
  if (life === undefined || server === undefined || life.isStopping) return false;
  life.clock.enter(() => {
    ask(server).catch((error: unknown) => onAssertion(error));
  });
  return true;
}

/** As the manual says: compact, defragment, disarm; again until no alarm is left. */
function relieve(scene: FaultScene): void {
  const {random, members} = scene;
  const member = members[random.below(members.length)];
  askServer(scene, member, async (server) => {
    const {result} = await server.alarms();
    const raised = result.filter(({alarm}) => alarm === AlarmType.noSpace);
    if (raised.length === 0) return;
    // May have been compacted there already, or find no leader: what follows shows it.
    await Promise.allSettled([server.compact({revision: server.header().revision, physical: true})]);
    await server.defragment();
    for (const alarm of raised) await server.alarmDeactivate(alarm);
  });
  const isFull = members.some(({replica}) => replica?.alarms.isActive(AlarmType.noSpace));
  if (isFull) scene.later(RELIEF_RETRY_MS, () => relieve(scene));
}

/** Several members change their part at once, through a joint configuration that is left by itself. */
function changeJointly(scene: FaultScene): boolean {
  const leader = leaderOf(scene);
  const loop = leader?.replica?.loop;
  if (leader === undefined || loop === undefined) return false;
  const steps = jointSteps(scene, loop.status().confState);
  if (steps.length < 2) return false;
  leader.life?.clock.enter(() => {
    void loop.proposeConfChange({steps, joint: 'implicit', context: new Uint8Array(0)});
  });
  return true;
}

function jointSteps(
  {random, changesMembers, casualties}: FaultScene,
  {voters, learners}: {readonly voters: readonly MemberId[]; readonly learners: readonly MemberId[]},
): readonly ConfChangeStep[] {
  const [first, ...others] = voters;
  // Where members come and go or are damaged, and with two, everybody stays what it is.
  if (changesMembers || !casualties.areNone || voters.length < (learners.length > 0 ? 1 : 3))
    return stepsOf(voters, 'update');
  if (learners.length > 0) return [...stepsOf(learners, 'addVoter'), ...stepsOf([first], 'update')];
  // A minority becomes learners, so that those who are left have a quorum whatever is down.
  const start = random.below(others.length);
  const turned = [...others.slice(start), ...others.slice(0, start)];
  const count = Math.max(1, Math.floor(others.length / 2));
  return [...stepsOf(turned.slice(0, count), 'addLearner'), ...stepsOf([first], 'update')];
}

const stepsOf = (ids: readonly MemberId[], type: ConfChangeStep['type']): ConfChangeStep[] =>
  ids.map((memberId) => ({type, memberId}));
