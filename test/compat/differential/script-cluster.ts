/** Steps of the differential script: members and endpoints. */

import {type Step, step, usage} from './step.ts';

const HELP = 'etcdctl prints its help and exits with 0';
/** After a start and after a change, a cluster wants to have seen all members for 5 seconds. */
const SETTLES = {whileError: /unhealthy cluster/} as const;
const ADDED = /Member +([0-9a-f]+) added (?:as learner )?to cluster/;

/** etcdctl refuses it by itself. */
const BAD_URL_KILLS_ETCD = 'etcd 3.4 ends itself when a member gets a peer URL that is none';

/** Nobody listens there. */
const NOWHERE = 'http://127.0.0.1:9';
const NOWHERE_ELSE = 'http://127.0.0.1:11';

export const CLUSTER_STEPS: readonly Step[] = [
  step('member list'),
  step('member list -w json'),
  step('member list -w fields'),
  step('member list -w table'),
  step('member list -w protobuf', {message: 'etcdserverpb.MemberListResponse'}),
  step('member list --hex'),
  step('member list --hex -w json'),
  step('member list extra'),
  step('endpoint health'),
  step('endpoint health --cluster'),
  step('endpoint health -w json'),
  step('endpoint health -w fields'),
  step('endpoint health -w table'),
  step('endpoint health --endpoints={endpoints}'),
  step('endpoint health --endpoints=127.0.0.1:9 --dial-timeout=200ms --command-timeout=500ms'),
  step('endpoint status'),
  step('endpoint status --endpoints={endpoints}'),
  step('endpoint status --cluster -w json'),
  step('endpoint status --cluster -w table'),
  step('endpoint status -w fields'),
  usage('endpoint status -w protobuf'),
  step('endpoint status --endpoints=127.0.0.1:9 --dial-timeout=200ms --command-timeout=500ms'),
  step('endpoint nonsense', {kvdDiffers: HELP}),
  step('put cluster/x 1 --endpoints={endpoints}'),
  step('get cluster/x --endpoints={endpoints} -w json'),
  step('get cluster/x --endpoints=127.0.0.1:9,{endpoint} -w json'),
  step('get cluster/x --endpoints=127.0.0.1:9 --dial-timeout=200ms --command-timeout=500ms'),
  step('get cluster/x --endpoints=http://{endpoint}'),
  usage('member add'),
  usage('member add a'),
  usage('member add a b --peer-urls=http://127.0.0.1:9'),
  usage('member add a --peer-urls=nonsense'),
  usage('member add a --peer-urls=http://127.0.0.1', SETTLES),
  usage('member add a --peer-urls=ftp://127.0.0.1:9', SETTLES),
  step('member add a --peer-urls={peer:1}', SETTLES),
  step('member add a --peer-urls={peer:1} --learner', SETTLES),
  step(`member add late --peer-urls=${NOWHERE} --learner`, {capture: {learner: ADDED}, ...SETTLES}),
  step('member list'),
  step('member list -w json'),
  step(`member add again --peer-urls=${NOWHERE},${NOWHERE_ELSE} --learner`, SETTLES),
  step(`member add two --peer-urls=${NOWHERE_ELSE} --learner`, SETTLES),
  step('move-leader {learner} --endpoints={endpoints}'),
  step('member promote {learner}', SETTLES),
  step('member promote {member:1}', SETTLES),
  usage('member promote'),
  usage('member promote zz'),
  step('member promote 1234', SETTLES),
  step(`member update {learner} --peer-urls=${NOWHERE_ELSE}`, SETTLES),
  step('member update {learner} --peer-urls={peer:1}', SETTLES),
  step(`member update {learner} --peer-urls=${NOWHERE},${NOWHERE_ELSE} -w json`, SETTLES),
  step('member list -w fields --endpoints={endpoint}'),
  usage('member update'),
  step(`member update zz --peer-urls=${NOWHERE}`),
  usage('member update {learner}'),
  step(`member update 1234 --peer-urls=${NOWHERE}`, SETTLES),
  usage('member update {learner} --peer-urls=nonsense', {notForKvd: BAD_URL_KILLS_ETCD, ...SETTLES}),
  step('member remove {learner}', SETTLES),
  step('member remove {learner}', SETTLES),
  // A follower of etcd 3.4 tries this until its time is up.
  step('member promote {learner}', {members: 1, ...SETTLES}),
  step(`member update {learner} --peer-urls=${NOWHERE}`, SETTLES),
  usage('member remove'),
  usage('member remove zz'),
  step('member remove 1234'),
  usage('member remove 1 2'),
  step('member nonsense', {kvdDiffers: HELP}),
  step('member list'),
  step(`member add json --peer-urls=${NOWHERE_ELSE} --learner -w json`, {
    captureDecimal: {learnerJson: /"member":\{"ID":(\d+)/},
    ...SETTLES,
  }),
  step('member remove {learnerJson} -w json', SETTLES),
  // A cluster of one would have no quorum any more.
  step(`member add voter --peer-urls=http://127.0.0.1:13`, {members: 3, capture: {voter: ADDED}, ...SETTLES}),
  step('member list', {members: 3}),
  step(`put cluster/four x`, {members: 3}),
  step('member remove {voter}', {members: 3, ...SETTLES}),
  step('member remove {member:1}', {members: 1}),
  step('move-leader {follower} --endpoints={endpoints}', {members: 3}),
  step('put cluster/led-by-another x -w json', {members: 3}),
  step('move-leader {follower}', {members: 3, onFollower: true}),
  step('move-leader 1234 --endpoints={endpoints}'),
  usage('move-leader'),
  usage('move-leader zz'),
  step('move-leader {member:1} --endpoints={endpoints}', {members: 1}),
];
