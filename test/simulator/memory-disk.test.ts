/** A simulated disk keeps no more over a power failure than a real one promises. */

import {describe, expect, it} from 'vitest';
import {loseUnsynced, MemoryDisk} from './memory-disk.ts';

/** A disk whose syncs wait until they are let go. */
function slowDisk(): {disk: MemoryDisk; letGo: () => void} {
  let letGo = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const turn = ({name}: {name: string}) => (name.startsWith('sync') ? gate : undefined);
  return {disk: new MemoryDisk({turn}), letGo};
}

describe('the simulated disk without power', () => {
  it('Ensure that a sync of a file covers what was written before it, and nothing later.', async () => {
    const {disk, letGo} = slowDisk();
    const file = await disk.open('file', {create: true});
    const named = disk.syncFolder('.');
    await file.write(0, [Buffer.from('before')]);
    const synced = file.sync();
    await file.write(6, [Buffer.from(' and behind')]);
    letGo();
    await Promise.all([named, synced]);
    expect(disk.bytesOf('file').toString()).toBe('before and behind');
    expect(disk.crash(loseUnsynced).bytesOf('file').toString()).toBe('before');
  });

  it('Ensure that a later sync covers the rest.', async () => {
    const {disk, letGo} = slowDisk();
    letGo();
    const file = await disk.open('file', {create: true});
    await disk.syncFolder('.');
    for (const [place, text] of ['one ', 'two ', 'three'].entries()) {
      await file.write(4 * place, [Buffer.from(text)]);
      await file.sync();
    }
    expect(disk.crash(loseUnsynced).bytesOf('file').toString()).toBe('one two three');
  });

  it('Ensure that a sync of a folder covers the names that were there before it, and none later.', async () => {
    const {disk, letGo} = slowDisk();
    await disk.open('early', {create: true});
    const synced = disk.syncFolder('.');
    await disk.open('late', {create: true});
    letGo();
    await synced;
    expect(disk.namesIn('.')).toEqual(['early', 'late']);
    expect(disk.crash(loseUnsynced).namesIn('.')).toEqual(['early']);
  });
});
