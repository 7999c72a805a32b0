import {expect, it} from 'vitest';
import {
  SnapshotInstaller,
  type SnapshotInstallerOptions,
} from '../../../src/engine/server/snapshot-installer.ts';
import type {SnapshotMessage} from '../../../src/engine/server/snapshotter.ts';

it('Ensure that an image that is not needed is answered by raft, and nothing of it is read.', async () => {
  const heard: string[] = [];
  const installer = new SnapshotInstaller({
    snapshotter: {receive: async () => false},
    applier: {index: 20},
    loop: () => ({announce: async ({meta}: SnapshotMessage) => void heard.push(`announced ${meta.index}`)}),
  } as unknown as SnapshotInstallerOptions);
  async function* chunks(): AsyncGenerator<Uint8Array, void> {
    heard.push('a part');
    yield Buffer.from('x');
  }
  const confState = {voters: [1n], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false};
  const meta = {index: 10, term: 1, confState};
  await installer.receive(2n, {type: 'snapshot', from: 2n, to: 1n, term: 1, meta}, chunks());
  expect(heard).toEqual(['announced 10']);
});
