/** Real members that are stopped, left behind, removed and wiped while clients write. */

import {rmSync} from 'node:fs';
import {afterEach, describe, expect, it} from 'vitest';
import {leaderOf, membersAgree, missingWrites} from './agreement.ts';
import {EtcdCalls} from './etcd-calls.ts';
import {eventually} from './eventually.ts';
import {freePorts} from './free-ports.ts';
import {MemberProcess} from './member-process.ts';
import {ProcessCluster} from './process-cluster.ts';
import {timeToWrite, WriteLoad} from './write-load.ts';

let cluster: ProcessCluster;

afterEach(async () => {
  await cluster?.destroy();
});

const others = (members: readonly MemberProcess[], one: MemberProcess) => members.filter((m) => m !== one);

/** Adds a member, starts it, and removes `leaving`, whose process ends. */
async function replace(options: {
  leaving: MemberProcess;
  rest: readonly MemberProcess[];
  name: string;
}): Promise<MemberProcess> {
  const {leaving, rest, name} = options;
  const [clientPort, peerPort] = await freePorts(2);
  const joined = [leaving, ...rest].map((one) => `${one.options.name}=${one.peerUrl}`).join(',');
  const newcomer = new MemberProcess({
    ...leaving.options,
    name,
    clientPort,
    peerPort,
    initialCluster: `${joined},${name}=http://127.0.0.1:${peerPort}`,
    initialClusterState: 'existing',
  });
  try {
    using calls = new EtcdCalls(rest[0].endpoint);
    await calls.raw.unary('etcdserverpb.Cluster/MemberAdd', {peerURLs: [newcomer.peerUrl]});
    await newcomer.start();
    const isGone = async () => {
      const {members} = await calls.raw.unary('etcdserverpb.Cluster/MemberList');
      const listed = members.find((m: {name: string}) => m.name === leaving.options.name);
      if (listed !== undefined) await calls.raw.unary('etcdserverpb.Cluster/MemberRemove', {ID: listed.ID});
      return listed === undefined;
    };
    // A leader that removes itself may be gone before it has answered.
    await eventually(isGone, {what: `${leaving.options.name} removed`});
    await leaving.exited();
    return newcomer;
  } catch (error) {
    await newcomer.kill();
    throw error;
  }
}

describe('a leader that was stopped', () => {
  it('Ensure that it serves no stale read when it continues.', async () => {
    cluster = await ProcessCluster.start({program: 'kvd', size: 3});
    const old = await leaderOf(cluster.members);
    const rest = others(cluster.members, old);
    using oldCalls = new EtcdCalls(old.endpoint);
    using newCalls = new EtcdCalls(rest[0].endpoint);
    await oldCalls.put('k', 'before');
    for (let round = 0; round < 3; round++) {
      old.signal('SIGSTOP');
      await timeToWrite(rest.map(({endpoint}) => endpoint));
      await newCalls.put('k', `after ${round}`);
      // Asked while it sleeps: it finds the question in its socket the moment it wakes up, still thinking it leads.
      const asked = Array.from({length: 20}, () => oldCalls.get('k', {timeoutMs: 20_000}));
      old.signal('SIGCONT');
      for (const answer of await Promise.all(asked)) expect(answer?.value.toString()).toBe(`after ${round}`);
      await rest[0].ready();
      await newCalls.put('k', 'before');
    }
    await membersAgree(cluster.members);
  });
});

describe('a member left behind', () => {
  it('Ensure that a follower whose log was compacted away catches up by a snapshot, and again.', async () => {
    cluster = await ProcessCluster.start({
      program: 'kvd',
      size: 3,
      extraArguments: ['--snapshot-count=200', '--snapshot-catchup-entries=50'],
    });
    for (let round = 0; round < 2; round++) {
      const leader = await leaderOf(cluster.members);
      const [behind] = others(cluster.members, leader);
      await behind.kill();
      using calls = new EtcdCalls(leader.endpoint);
      for (let n = 0; n < 40; n++) {
        await Promise.all(
          Array.from({length: 25}, (_, i) => calls.put(`r${round}/${n}/${i}`, 'x'.repeat(100))),
        );
      }
      await behind.start();
      await membersAgree(cluster.members);
      expect(behind.logTail(200)).toContain('snapshot installed');
    }
  });

  it('Ensure that a watch on it goes on without a gap over the snapshot.', async () => {
    cluster = await ProcessCluster.start({
      program: 'kvd',
      size: 3,
      extraArguments: ['--snapshot-count=200', '--snapshot-catchup-entries=50'],
    });
    const leader = await leaderOf(cluster.members);
    const [behind] = others(cluster.members, leader);
    using watcher = new EtcdCalls(behind.endpoint);
    using writer = new EtcdCalls(leader.endpoint);
    const stream = watcher.raw.bidi('etcdserverpb.Watch/Watch');
    const revisions: number[] = [];
    stream.on('data', ({events}) => {
      for (const {kv} of events) revisions.push(Number(kv.mod_revision));
    });
    // The stream ends with the processes.
    stream.on('error', () => {});
    stream.write({create_request: {key: Buffer.from('w/'), range_end: Buffer.from('w0')}});
    await writer.put('w/first', 'x');
    await eventually(() => revisions.length === 1, {what: 'the first event'});
    behind.signal('SIGSTOP');
    let last = 0;
    for (let n = 0; n < 40; n++) {
      const puts = Array.from({length: 25}, (_, i) => writer.put(`w/${n}/${i}`, 'x'));
      last = Math.max(last, ...(await Promise.all(puts)));
    }
    behind.signal('SIGCONT');
    await eventually(() => revisions.at(-1) === last, {what: 'the last event'});
    expect(revisions).toEqual(Array.from({length: 1_001}, (_, i) => revisions[0] + i));
    stream.cancel();
  });
});

describe('a member that was away while the others were replaced', () => {
  it.each([
    {by: 'the log', extraArguments: []},
    {by: 'a snapshot', extraArguments: ['--snapshot-count=200', '--snapshot-catchup-entries=50']},
  ])(
    'Ensure that it comes back by $by though it knows nobody of the cluster any more.',
    async ({by, extraArguments}) => {
      const lenient = [...extraArguments, '--strict-reconfig-check=false'];
      cluster = await ProcessCluster.start({program: 'kvd', size: 3, extraArguments: lenient});
      const newcomers: MemberProcess[] = [];
      try {
        const [a, away, c] = cluster.members;
        await away.kill();
        newcomers.push(await replace({leaving: c, rest: [a], name: 'm4'}));
        newcomers.push(await replace({leaving: a, rest: newcomers, name: 'm5'}));
        await leaderOf(newcomers);
        using calls = new EtcdCalls(newcomers[0].endpoint);
        for (let n = 0; n < 40; n++) {
          await Promise.all(Array.from({length: 25}, (_, i) => calls.put(`${n}/${i}`, 'x'.repeat(100))));
        }
        await away.start();
        await membersAgree([away, ...newcomers]);
        expect(away.logTail(400).includes('snapshot installed')).toBe(by === 'a snapshot');
      } finally {
        for (const member of newcomers) await member.kill();
      }
    },
  );
});

describe('a member removed and added again', () => {
  it('Ensure that it joins with an empty disk under load, and that its old data dir stays out.', async () => {
    cluster = await ProcessCluster.start({program: 'kvd', size: 3});
    const endpoints = cluster.members.map(({endpoint}) => endpoint);
    const load = new WriteLoad({endpoints, clients: 16, prefix: 'load/'});
    load.start();
    const leader = await leaderOf(cluster.members);
    const [victim, other] = others(cluster.members, leader);
    using calls = new EtcdCalls(other.endpoint);
    const {members} = await calls.raw.unary('etcdserverpb.Cluster/MemberList');
    const {ID} = members.find((m: {name: string}) => m.name === victim.options.name);
    await eventually(
      async () => {
        await calls.raw.unary('etcdserverpb.Cluster/MemberRemove', {ID});
        return true;
      },
      {what: 'links that have stood long enough for a removal'},
    );
    await victim.exited();
    // With its old data it is refused...
    victim.spawn();
    await victim.exited();
    // ... and so is a wiped one that pretends that nothing happened.
    rmSync(victim.dataDir, {recursive: true});
    victim.spawn();
    expect(await victim.exited()).toBe(1);
    await eventually(
      async () => {
        await calls.raw.unary('etcdserverpb.Cluster/MemberAdd', {peerURLs: [victim.peerUrl]});
        return true;
      },
      {what: 'the member added'},
    );
    const again = new MemberProcess({...victim.options, initialClusterState: 'existing'});
    try {
      rmSync(again.dataDir, {recursive: true, force: true});
      await again.start();
      await load.stop();
      const all = [leader, other, again];
      await membersAgree(all);
      expect(await missingWrites(again.endpoint, 'load/', load.acknowledged)).toEqual([]);
      expect(load.acknowledged.size).toBeGreaterThan(100);
    } finally {
      await again.kill();
    }
  });
});
