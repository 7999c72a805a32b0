import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {EngineError} from '../../../src/engine/errors.ts';
import type {ApplyResult} from '../../../src/engine/state-machine/apply-result.ts';
import type {Command} from '../../../src/engine/state-machine/command.ts';
import {decodeProposal, encodeProposal} from '../../../src/engine/state-machine/command-codec.ts';
import {StateMachine} from '../../../src/engine/state-machine/state-machine.ts';
import {MemoryRecords} from '../../simulator/memory-records.ts';
import {command} from './commands.ts';
import {failure, Machine, plain, putOf, rangeOf, run, silentLogger} from './machine.ts';

function outcome({response, revision, events, leaseChanges}: ApplyResult): unknown {
  return {
    response: response instanceof EngineError ? response.failure : response.type,
    revision,
    events: events.map(({type, kv}) => [type, plain(kv)]),
    leaseChanges,
  };
}

describe('determinism', () => {
  it('Ensure that the same log makes the same records, hash and answers, whoever restarts or reclaims when.', () => {
    const steps = fc.array(fc.tuple(command, fc.constantFrom('', '', '', 'restart', 'reclaim')), {
      maxLength: 40,
    });
    const property = fc.property(steps, (log) => {
      const steady = new Machine();
      let moody = new Machine();
      for (const [one, mood] of log) {
        const expected = outcome(steady.apply(one));
        expect(outcome(moody.apply(one))).toEqual(expected);
        expect(moody.records.applied()).toEqual(steady.records.applied());
        if (mood === 'restart') moody = new Machine(moody.records);
        if (mood === 'reclaim') moody.reclaim();
        expect(moody.leases()).toEqual(steady.leases());
        expect(moody.stateMachine.alarms.list()).toEqual(steady.stateMachine.alarms.list());
        expect(moody.hashKv()).toEqual(steady.hashKv());
      }
      for (const machine of [steady, moody]) machine.reclaim();
      expect(moody.records.dump()).toEqual(steady.records.dump());
      const reloaded = new Machine(moody.records);
      for (const {id} of steady.leases()) {
        expect(reloaded.keysOfLease(id)).toEqual(steady.keysOfLease(id));
      }
    });
    fc.assert(property, {numRuns: 300});
  });

  it('Ensure that entries without a command and refused ones move the mark alone.', () => {
    const machine = new Machine();
    const {stateMachine} = machine;
    expect(stateMachine.apply({index: 1, term: 3, proposal: undefined})).toMatchObject({
      response: {type: 'none'},
      revision: 1,
    });
    machine.term = 3;
    machine.apply({type: 'compact', revision: 9});
    expect(stateMachine.applied()).toEqual({index: 2, term: 3, hash: 0});
    machine.put('a');
    expect(stateMachine.applied().hash).not.toBe(0);
    expect(() => stateMachine.apply({index: 3, term: 3, proposal: undefined})).toThrow('in order');
    expect(() => stateMachine.apply({index: 5, term: 3, proposal: undefined})).toThrow('in order');
  });

  it('Ensure that a snapshot replaces everything, and that nothing is read while it is being loaded.', () => {
    const leader = new Machine();
    const behind = new Machine();
    for (const machine of [leader, behind]) {
      for (let i = 0; i < 3000; i++) machine.put(`k${i}`, String(i));
    }
    const range = behind.mvcc.rangeSlices(rangeOf('k', 'l'));
    range.next();
    behind.compact(2500);
    const compaction = behind.mvcc.compactionSlices();
    for (let i = 0; i < 10; i++) leader.delete(`k${i}`);
    leader.compact(3005);
    behind.records.replaceBy(leader.records);
    expect(failure(() => behind.mvcc.range(rangeOf('k1')))).toBe('timeoutWaitingForApply');
    const load = behind.stateMachine.load();
    load.next();
    load.next();
    expect(failure(() => behind.mvcc.range(rangeOf('k1')))).toBe('timeoutWaitingForApply');
    run(load);
    if (compaction !== undefined) run(compaction);
    expect(failure(() => run(range))).toBe('compacted');
    expect(behind.hashKv()).toEqual(leader.hashKv());
    expect(behind.mvcc.compactRevision()).toBe(3005);
    behind.reclaim();
    leader.reclaim();
    expect(behind.records.dump()).toEqual(leader.records.dump());
    leader.put('z');
    behind.put('z');
    expect(behind.records.applied().hash).toBe(leader.records.applied().hash);
  });

  it('Ensure that a compaction begun before a snapshot touches nothing of what the snapshot brought.', () => {
    const leader = new Machine();
    const behind = new Machine();
    for (const machine of [leader, behind]) {
      for (let i = 0; i < 2500; i++) machine.put('a', String(i));
      machine.delete('a');
      machine.put('b', '1');
    }
    behind.compact(2503);
    leader.compact(2503);
    leader.put('a', 'again');
    const compaction = behind.mvcc.compactionSlices();
    compaction?.next();
    behind.records.replaceBy(leader.records);
    run(behind.stateMachine.load());
    if (compaction !== undefined) run(compaction);
    expect(behind.get('a')[0]).toMatchObject({value: 'again', version: 1});
    behind.reclaim();
    leader.reclaim();
    expect(behind.records.dump()).toEqual(leader.records.dump());
    expect(behind.mvcc.finishedCompactRevision()).toBe(2503);
  });

  it('Ensure that contradictory records are found when they are loaded.', () => {
    const damages: readonly ((records: MemoryRecords, revisions: [Uint8Array, Uint8Array][]) => void)[] = [
      (records, [, second]) => records.delete('key', second[0]),
      (records, [first, second]) => records.put('key', second[0], first[1]),
      (records, [, second]) => records.put('key', second[0], second[1].subarray(0, 5)),
      (records, [first]) => records.put('key', first[0].subarray(0, 9), first[1]),
      (records, [first]) => records.put('key', Buffer.concat([first[0], Buffer.from('u')]), first[1]),
      (records) => records.put('lease', Buffer.alloc(8), Buffer.from([8, 9])),
      (records) => records.put('members', Buffer.from('12'), Buffer.from('{"id":19,"peerURLs":[]}')),
      (records) => records.put('members', Buffer.from('12'), Buffer.from('{"id":18')),
      (records) => records.put('alarm', Buffer.from([8]), Buffer.alloc(0)),
    ];
    for (const damage of damages) {
      const machine = new Machine();
      for (let i = 0; i < 3; i++) machine.put('a', String(i));
      const records = new MemoryRecords();
      records.replaceBy(machine.records);
      damage(records, [...records.range('key', {})] as [Uint8Array, Uint8Array][]);
      const load = () => run(new StateMachine({records, logger: silentLogger}).load());
      expect([damage.toString(), failure(load)]).toEqual([damage.toString(), 'storeCorrupt']);
    }
  });

  it('Ensure that the empty record which raises the revision at a restore is understood.', () => {
    const machine = new Machine();
    machine.put('a', '1');
    const bumped = Buffer.from('00000000000003e85f0000000000000000', 'hex');
    machine.records.put('key', bumped, Buffer.alloc(0));
    machine.records.put('meta', Buffer.from('scheduledCompactRev'), bumped);
    const restored = new Machine(machine.records);
    expect([restored.mvcc.currentRevision(), restored.mvcc.compactRevision()]).toEqual([1000, 1000]);
    restored.reclaim();
    expect(restored.get('\0', '\0').map((kv) => kv?.key)).toEqual(['a']);
    restored.put('a', '2');
    expect(restored.get('a')[0]).toMatchObject({modRevision: 1001, version: 2});
  });
});

describe('command codec', () => {
  it('Ensure that every proposal comes back from its bytes as it was.', () => {
    const proposal = fc.record({
      proposer: fc.bigInt({min: 0n, max: 2n ** 64n - 1n}),
      requestId: fc.maxSafeNat(),
      command,
    });
    fc.assert(
      fc.property(proposal, (one) => {
        expect(normal(decodeProposal(encodeProposal(one)))).toEqual(normal(one));
      }),
      {numRuns: 500},
    );
  });

  it('Ensure that a checkpoint is read from a log that does not tell the term of its proposer.', () => {
    const bytes = [1, 7, ...Array(7).fill(0), 9, ...Array(8).fill(0), 1, ...Array(7).fill(0), 5];
    const remaining = Buffer.alloc(8);
    remaining.writeDoubleBE(30);
    expect(decodeProposal(Buffer.concat([Buffer.from(bytes), remaining]))).toEqual({
      proposer: 9n,
      requestId: 0,
      command: {type: 'leaseCheckpoint', proposerTerm: 0, leases: [{id: 5n, remainingTtlSeconds: 30}]},
    });
  });

  it('Ensure that damaged bytes are refused, never believed.', () => {
    const damage = fc.record({command, at: fc.nat(), byte: fc.nat({max: 255}), cut: fc.nat()});
    fc.assert(
      fc.property(damage, ({command: one, at, byte, cut}) => {
        const payload = Buffer.from(encodeProposal({proposer: 1n, requestId: 2, command: one}));
        payload[at % payload.length] = byte;
        const code = failure(() =>
          decodeProposal(payload.subarray(0, payload.length - (cut % payload.length))),
        );
        expect(['none', 'walCorrupt', 'formatUnsupported']).toContain(code);
      }),
      {numRuns: 1000},
    );
    expect(failure(() => decodeProposal(Buffer.alloc(0)))).toBe('walCorrupt');
    expect(failure(() => decodeProposal(Buffer.from([2, 1])))).toBe('formatUnsupported');
    const long = Buffer.from([1, 3, ...Array(16).fill(0), 0xff, 0xff, 0xff, 0xff, 0x7f]);
    expect(failure(() => decodeProposal(long))).toBe('walCorrupt');
  });

  it('Ensure that transactions nested beyond the bound are refused before they reach a log.', () => {
    let success: readonly object[] = [{requestPut: putOf('a')}];
    for (let depth = 0; depth < 200; depth++) success = [{requestTxn: {compare: [], success, failure: []}}];
    const deep: Command = {type: 'txn', request: {compare: [], success, failure: []}};
    expect(failure(() => encodeProposal({proposer: 1n, requestId: 1, command: deep}))).toBe('tooManyOps');
    expect(
      failure(() =>
        encodeProposal({proposer: 1n, requestId: 1, command: {type: 'put', request: putOf('a')}}),
      ),
    ).toBe('none');
  });
});

/** Byte strings as hex, absent fields dropped: two equal proposals look the same. */
function normal(value: unknown): unknown {
  if (value instanceof Uint8Array) return `hex ${Buffer.from(value).toString('hex')}`;
  if (Array.isArray(value)) return value.map(normal);
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(fields.map(([name, field]) => [name, normal(field)]));
}
