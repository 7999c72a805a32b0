import {describe, expect, it} from 'vitest';
import {CommandError} from '../../../src/commands/_shared/exit.ts';
import {parseCompare, readTxn} from '../../../src/commands/_shared/txn-script.ts';
import {CompareResult, CompareTarget} from '../../../src/engine/types.ts';
import {MemoryTerminal} from './memory-terminal.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');

async function refusal(script: string): Promise<readonly [number, string]> {
  try {
    await readTxn(new MemoryTerminal(script).lines(), () => {});
  } catch (error) {
    if (error instanceof CommandError) return [error.exitCode, error.message];
    throw error;
  }
  throw new Error('it was accepted');
}

describe('transaction script', () => {
  it('Ensure that three blocks become compares, success and failure.', async () => {
    const script = 'ver("k") > "3"\n\nput k "a b" --prev-kv\nget k --prefix\n\ndel k z\n\n';
    const prompts: string[] = [];
    const txn = await readTxn(new MemoryTerminal(script).lines(), (text) => prompts.push(text));
    expect(txn.compare).toEqual([
      {key: bytes('k'), result: CompareResult.greater, target: CompareTarget.version, version: 3},
    ]);
    expect(txn.success).toMatchObject([
      {requestPut: {key: bytes('k'), value: bytes('a b'), prevKv: true}},
      {requestRange: {key: bytes('k'), rangeEnd: bytes('l')}},
    ]);
    expect(txn.failure).toMatchObject([{requestDeleteRange: {key: bytes('k'), rangeEnd: bytes('z')}}]);
    expect(prompts).toEqual([
      'compares:',
      'success requests (get, put, del):',
      'failure requests (get, put, del):',
    ]);
  });

  it.each([
    ['version("k") = "0"', {target: CompareTarget.version, result: CompareResult.equal, version: 0}],
    ['c("k") != "9"', {target: CompareTarget.create, result: CompareResult.notEqual, createRevision: 9}],
    ['create("k") < "9"', {target: CompareTarget.create, result: CompareResult.less, createRevision: 9}],
    ['m("k") > "-1"', {target: CompareTarget.mod, result: CompareResult.greater, modRevision: -1}],
    ['mod("k") = "1"', {target: CompareTarget.mod, result: CompareResult.equal, modRevision: 1}],
    ['val("k") = "\\xff\\n"', {target: CompareTarget.value, value: bytes('\xff\n')}],
    ['value("k") = ""', {target: CompareTarget.value, value: bytes('')}],
    ['lease("k") = "a1"', {target: CompareTarget.lease, lease: 0xa1n}],
  ])('Ensure that %s is understood.', (line, compare) => {
    expect(parseCompare(line)).toMatchObject({key: bytes('k'), ...compare});
  });

  it.each<[string, number, string]>([
    ['', 3, 'EOF'],
    ['\n\n', 3, 'EOF'],
    ['\n\n\nver', 0, ''],
    ['ver(k) > "0"\n\n\n\n', 3, 'malformed comparison: ver(k) > "0"'],
    ['foo("k") > "0"\n\n\n\n', 3, 'malformed comparison: foo("k") > "0" (unknown target foo)'],
    ['ver("k") ~ "0"\n\n\n\n', 3, 'malformed comparison: ver("k") ~ "0" (unknown operator ~)'],
    ['ver("k") > "x"\n\n\n\n', 3, 'invalid txn compare request: ver("k") > "x"'],
    ['\nput\n\n\n', 3, 'invalid txn compare request: put'],
    ['\nfetch k\n\n\n', 3, 'invalid txn request: fetch k'],
    ['\nget --nope k\n\n\n', 3, 'invalid txn request: get --nope k'],
    [
      '\nput --lease=zz k v\n\n\n',
      128,
      'bad lease ID (strconv.ParseInt: parsing "zz": invalid syntax), expecting ID in Hex',
    ],
    ['\nput k\n\n\n', 128, 'put command needs 2 arguments inside a transaction'],
    ['\nput "\\q" v\n\n\n', 3, 'bad escape \\q in "\\q"'],
  ])('Ensure that %j ends as it does with etcdctl.', async (script, exitCode, message) => {
    if (exitCode === 0) await readTxn(new MemoryTerminal(script).lines(), () => {});
    else expect(await refusal(script)).toEqual([exitCode, message]);
  });
});
