import {describe, expect, it} from 'vitest';
import {WatchFilter} from '../../../src/engine/watch/watch-request.ts';
import {deleteOf, putOf} from '../state-machine/machine.ts';
import {WatchedMachine} from './hub.ts';

describe('watch protocol', () => {
  it('Ensure that a watcher is told created with the current revision, then what happens.', () => {
    const watched = new WatchedMachine();
    watched.put('a', '1');
    const stream = watched.stream();
    stream.create('a');
    watched.put('a', '2');
    watched.put('b', '2');
    watched.delete('a');
    expect(stream.texts()).toEqual(['0 r2 created', '0 r5 put a=2@3, del a@5']);
  });

  it('Ensure that a start in the past replays the history and then goes on live, without gap or double.', () => {
    const watched = new WatchedMachine();
    for (let i = 2; i <= 5; i++) watched.put('a', String(i));
    const stream = watched.stream();
    stream.create('a', {startRevision: 3});
    expect(watched.wakes).toBe(1);
    watched.put('a', '6');
    watched.catchUp();
    watched.put('a', '7');
    expect(stream.texts()).toEqual([
      '0 r5 created',
      '0 r7 put a=3@3, put a=4@4, put a=5@5, put a=6@6, put a=7@7',
    ]);
  });

  it('Ensure that a start in the future skips what happens before it.', () => {
    const watched = new WatchedMachine();
    const stream = watched.stream();
    stream.create('a', {startRevision: 4});
    for (let i = 2; i <= 5; i++) watched.put('a', String(i));
    expect(stream.texts()).toEqual(['0 r1 created', '0 r5 put a=4@4, put a=5@5']);
  });

  it('Ensure that ids count from 0, skip those that clients chose, and are refused twice.', () => {
    const stream = new WatchedMachine().stream();
    stream.create('a');
    stream.create('a', {watchId: 2n});
    stream.create('a', {watchId: 2n});
    stream.create('a');
    stream.create('a');
    stream.stream.cancel(2n);
    stream.create('a', {watchId: 2n});
    expect(stream.texts()).toEqual([
      '0 r1 created',
      '2 r1 created',
      '-1 r1 created, canceled, (mvcc: duplicate watch ID provided on the WatchStream)',
      '1 r1 created',
      '3 r1 created',
      '2 r1 canceled',
      '2 r1 created',
    ]);
  });

  it('Ensure that an empty range and a negative start are refused with their reasons.', () => {
    const stream = new WatchedMachine().stream();
    stream.create('b', {end: 'a'});
    stream.create('b', {end: 'b'});
    stream.create('b', {startRevision: -3});
    stream.stream.rejectCreate('rpc error: code = PermissionDenied desc = etcdserver: permission denied');
    expect(stream.texts()).toEqual([
      '-1 r1 created, canceled, (mvcc: watcher range is empty)',
      '-1 r1 created, canceled, (mvcc: watcher range is empty)',
      '-1 r1 created, canceled, (etcdserver: mvcc: required revision has been compacted)',
      '-1 r1 created, canceled, (rpc error: code = PermissionDenied desc = etcdserver: permission denied)',
    ]);
  });

  it('Ensure that a compacted start is created and then canceled with the compact revision.', () => {
    const watched = new WatchedMachine();
    for (let i = 2; i <= 6; i++) watched.put('a', String(i));
    watched.compact(5);
    const stream = watched.stream();
    stream.create('a', {startRevision: 4});
    stream.create('a', {startRevision: 5, watchId: 7n});
    watched.catchUp();
    expect(stream.texts()).toEqual([
      '0 r6 created',
      '0 r0 canceled, compacted 5',
      '7 r6 created',
      '7 r6 put a=5@5, put a=6@6',
    ]);
  });

  it('Ensure that a watch at the compact revision still sees a deletion made there.', () => {
    const watched = new WatchedMachine();
    watched.put('a', '1');
    watched.delete('a');
    watched.put('b', '1');
    watched.compact(3);
    const stream = watched.stream();
    stream.create('a', {startRevision: 3});
    watched.catchUp();
    expect(stream.texts()).toEqual(['0 r4 created', '0 r4 del a@3']);
  });

  it('Ensure that a lagging watcher whose next revision is compacted is canceled, others go on.', () => {
    const watched = new WatchedMachine();
    for (let i = 2; i <= 6; i++) watched.put('a', String(i));
    const stream = watched.stream();
    stream.create('a', {startRevision: 2});
    stream.create('a', {startRevision: 6});
    watched.compact(5);
    watched.catchUp();
    watched.put('a', '7');
    expect(stream.texts()).toEqual([
      '0 r6 created',
      '1 r6 created',
      '0 r0 canceled, compacted 5',
      '1 r7 put a=6@6, put a=7@7',
    ]);
  });

  it('Ensure that nothing follows a cancel, and that an unknown id is ignored.', () => {
    const watched = new WatchedMachine();
    const stream = watched.stream();
    stream.create('a');
    watched.put('a', '1');
    stream.stream.cancel(0n);
    stream.stream.cancel(0n);
    stream.stream.cancel(9n);
    watched.put('a', '2');
    watched.catchUp();
    expect(stream.texts()).toEqual(['0 r1 created', '0 r2 put a=1@2', '0 r2 canceled']);
  });

  it('Ensure that ranges, prefixes to the end, filters and previous values do what they say.', () => {
    const watched = new WatchedMachine();
    const stream = watched.stream();
    stream.create('a', {end: 'c', watchId: 1n, prevKv: true});
    stream.create('b', {end: '\0', watchId: 2n, filters: [WatchFilter.noPut]});
    stream.create('', {end: '\0', watchId: 3n, filters: [WatchFilter.noDelete]});
    stream.responses();
    watched.put('a', '1');
    watched.put('a', '2');
    watched.delete('a');
    watched.put('c', '1');
    watched.delete('c');
    expect(stream.texts()).toEqual([
      '3 r2 put a=1@2',
      '1 r2 put a=1@2',
      '3 r3 put a=2@3',
      '1 r4 put a=2@3 was 1, del a@4 was 2',
      '3 r5 put c=1@5',
      '2 r6 del c@6',
    ]);
  });

  it('Ensure that a key that is deleted and put in one revision is new, without a previous value, live and later.', () => {
    const watched = new WatchedMachine();
    watched.put('a', '1');
    const live = watched.stream();
    live.create('a', {prevKv: true});
    const success = [{requestDeleteRange: deleteOf('a', '\0')}, {requestPut: putOf('a', '2')}];
    watched.apply({type: 'txn', request: {compare: [], success, failure: []}});
    const later = watched.stream();
    later.create('a', {prevKv: true, startRevision: 3});
    watched.catchUp();
    expect(live.texts()).toEqual(['0 r2 created', '0 r3 del a@3 was 1, put a=2@3']);
    expect(later.texts()).toEqual(['0 r3 created', '0 r3 del a@3 was 1, put a=2@3']);
  });

  it('Ensure that the events of one revision come together, and split only for who accepts fragments.', () => {
    const watched = new WatchedMachine();
    const stream = watched.stream(60);
    stream.create('k', {end: 'l', watchId: 1n});
    stream.create('k', {end: 'l', watchId: 2n, fragment: true});
    stream.responses();
    watched.putAll({k1: 'x', k2: 'x', k3: 'x', k4: 'x', k5: 'x'});
    const all = ['put k1=x@2', 'put k2=x@2', 'put k3=x@2', 'put k4=x@2', 'put k5=x@2'];
    const [whole, ...fragments] = stream.texts();
    expect(whole).toBe(`1 r2 ${all.join(', ')}`);
    expect(fragments).toEqual([
      '2 r2 fragment, put k1=x@2, put k2=x@2',
      '2 r2 fragment, put k3=x@2, put k4=x@2',
      '2 r2 put k5=x@2',
    ]);
  });

  it('Ensure that progress is told to idle watchers that asked for it, and to nobody else.', () => {
    const watched = new WatchedMachine();
    const stream = watched.stream();
    stream.create('a', {watchId: 1n, progressNotify: true});
    stream.create('b', {watchId: 2n, progressNotify: true});
    stream.create('c', {watchId: 3n});
    stream.responses();
    watched.put('a', '1');
    expect(stream.texts()).toEqual(['1 r2 put a=1@2']);
    watched.hub.notifyProgress();
    expect(stream.texts()).toEqual(['2 r2 progress']);
    watched.hub.notifyProgress();
    watched.hub.notifyProgress();
    expect(stream.texts()).toEqual(['1 r2 progress', '2 r2 progress', '1 r2 progress', '2 r2 progress']);
  });

  it('Ensure that requested progress waits until every watcher of the stream has caught up.', () => {
    const watched = new WatchedMachine();
    const stream = watched.stream();
    stream.stream.requestProgress();
    expect(stream.texts()).toEqual(['-1 r1 progress']);
    for (let i = 2; i <= 4; i++) watched.put('a', String(i));
    stream.create('b');
    stream.create('a', {startRevision: 2});
    stream.stream.requestProgress();
    stream.stream.requestProgress();
    expect(stream.texts()).toEqual(['0 r4 created', '1 r4 created']);
    watched.catchUp();
    expect(stream.texts()).toEqual(['1 r4 put a=2@2, put a=3@3, put a=4@4', '-1 r4 progress']);
  });

  it('Ensure that the listener is told once when there is something to take after there was nothing.', () => {
    const watched = new WatchedMachine();
    const stream = watched.stream();
    stream.create('a');
    watched.put('a', '1');
    expect(stream.readableCalls).toBe(1);
    stream.responses();
    watched.put('b', '1');
    expect(stream.readableCalls).toBe(1);
    watched.put('a', '1');
    expect(stream.readableCalls).toBe(2);
  });

  it('Ensure that a closed stream leaves nothing behind.', () => {
    const watched = new WatchedMachine();
    watched.put('a', '1');
    const stream = watched.stream();
    stream.create('a');
    stream.create('a', {startRevision: 2});
    expect(watched.hub.watchers).toBe(2);
    expect(watched.hub.slowWatchers).toBe(1);
    stream.stream.close();
    expect([watched.hub.watchers, watched.hub.streams]).toEqual([0, 0]);
    expect(watched.metrics.values.get('etcd_debugging_mvcc_watcher_total')).toBe(0);
    watched.put('a', '2');
    expect(watched.hub.catchUp()).toBe(false);
  });
});
