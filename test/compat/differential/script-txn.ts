/** Steps of the differential script: transactions. The script on the input: compares, success, failure. */

import {type Step, step, usage} from './step.ts';

/** The three blocks of a transaction's input. */
function txn(compares: readonly string[], success: readonly string[], failure: readonly string[]): string {
  return [compares, success, failure]
    .map((lines) => `${lines.map((line) => `${line}\n`).join('')}\n`)
    .join('');
}

const run = (
  compares: readonly string[],
  success: readonly string[],
  failure: readonly string[] = [],
  flags = '',
): Step => step(`txn ${flags}`, {input: txn(compares, success, failure)});

const PANIC = 'etcdctl 3.4 panics';
const WHICH = ['put t/which success'];
const ELSE = ['put t/which failure'];
/** The script is tried with these compares one after the other. */
const COMPARES = [
  'ver("t/a") = "2"',
  'ver("t/a") = "1"',
  'version("t/a") > "1"',
  'version("t/a") < "2"',
  'ver("t/a") != "2"',
  'c("t/a") > "0"',
  'create("t/a") < "1"',
  'create("t/a") != "0"',
  'm("t/a") > "0"',
  'mod("t/a") = "0"',
  'mod("t/a") != "7"',
  'val("t/a") = "2"',
  'value("t/a") != "2"',
  'val("t/a") > "1"',
  'val("t/a") < "1"',
  'ver("t/absent") = "0"',
  'create("t/absent") = "0"',
  'mod("t/absent") != "0"',
  'val("t/absent") = ""',
  'val("t/absent") != "x"',
  'val("t/absent") < "x"',
  'mod("t/a") < "9223372036854775807"',
] as const;

const puts = (count: number, key: (n: number) => string) =>
  Array.from({length: count}, (_, n) => `put ${key(n)} v`);

export const TXN_STEPS: readonly Step[] = [
  step('put t/a 1'),
  step('put t/a 2'),
  step('put t/b 1'),
  ...COMPARES.map((compare) => run([compare], WHICH, ELSE)),
  {...run(['lease("t/a") = "7b"'], ['get t/a'], ['get t/b']), kvdDiffers: PANIC},
  run(['ver("t/a") = "2"', 'ver("t/b") = "1"', 'ver("t/absent") = "0"'], WHICH, ELSE),
  run(['ver("t/a") = "2"', 'ver("t/b") = "9"'], WHICH, ELSE),
  run([], [], []),
  run([], ['get t/ --prefix'], []),
  run([], ['get t/a', 'put t/a 3', 'get t/a', 'del t/a', 'get t/a'], []),
  run([], ['get t/b', 'put t/b 3', 'get t/b'], [], '-w json'),
  run([], ['get t/b', 'put t/b 3', 'get t/b', 'del t/b --prev-kv'], [], '-w fields'),
  {...run([], ['put t/b 4', 'get t/b'], [], '-w protobuf'), message: 'etcdserverpb.TxnResponse'},
  run([], ['get t/b'], [], '-w table'),
  run([], ['put t/c 1 --prev-kv', 'put t/b 6 --prev-kv'], []),
  run([], ['get t/b --limit=1 --sort-by=KEY --order=DESCEND', 'get t/ --prefix --keys-only'], [], '-w json'),
  run([], ['get t/b --rev={revision-1}'], [], '-w json'),
  run([], ['get t/b --rev=999999'], []),
  // Members of etcd 3.4 disagree afterwards: only the one that was asked undoes the put.
  {...run([], ['put t/never 1', 'get t/b --rev=999999'], []), members: 1},
  step('get t/never -w json'),
  run([], ['del t/ --prefix --prev-kv'], []),
  run([], ['del t/ --prefix', 'put t/x 1', 'get t/ --prefix'], []),
  run([], ['put t/y "two words"', 'put t/z "\\x00\\xff\\n"', 'get t/y', 'get t/z'], []),
  run([], ['put t/y "two words"', 'get t/z'], [], '--hex'),
  run(['val("t/y") = "two words"'], ['get t/y'], []),
  run([], ['put t/dup 1', 'put t/dup 2'], []),
  run([], ['put t/dup 1', 'del t/dup'], []),
  run([], ['put t/dup 1', 'del t/ --prefix'], []),
  run([], ['del t/dup', 'put t/other 1'], []),
  run([], ['del t/dup', 'del t/dup'], []),
  run([], ['put t/dup 1'], ['put t/dup 2']),
  run(['ver("t/dup") > "0"'], ['put t/n 1'], ['put t/dup 1', 'put t/dup 2']),
  run(
    [],
    puts(128, (n) => `t/m/${n}`),
  ),
  run(
    [],
    puts(129, (n) => `t/m/${n}`),
  ),
  run(
    Array.from({length: 129}, () => 'ver("t/x") = "1"'),
    [],
  ),
  run(
    Array.from({length: 128}, () => 'ver("t/x") = "1"'),
    ['get t/x'],
  ),
  run([], ['put "" 1']),
  run([], ['get ""']),
  run([], ['del ""']),
  run(['ver("") = "0"'], []),
  run([], ['put t/lease v --lease=1234']),
  run([], ['put t/absent --ignore-value']),
  run([], ['put t/x --ignore-value', 'put t/y v --ignore-lease', 'get t/x', 'get t/y']),
  step('txn -i', {input: txn(['ver("t/x") > "0"'], ['get t/x'], [])}),
  step('txn --interactive -w json', {input: txn([], ['get t/x'], [])}),
  usage('txn extra', {input: '\n\n\n'}),
  usage('txn --unknown', {input: '\n\n\n'}),
  usage('txn', {input: ''}),
  usage('txn', {input: 'ver("t/x") > "0"\n'}),
  usage('txn', {input: 'ver(t/x) > "0"\n\n\n\n'}),
  usage('txn', {input: 'ver("t/x") >> "0"\n\n\n\n', kvdDiffers: PANIC}),
  usage('txn', {input: 'ver("t/x") >= "0"\n\n\n\n', kvdDiffers: PANIC}),
  usage('txn', {input: 'nonsense("t/x") > "0"\n\n\n\n'}),
  usage('txn', {input: 'ver("t/x") > "x"\n\n\n\n'}),
  usage('txn', {input: 'ver("t/x") > 0\n\n\n\n'}),
  usage('txn', {input: 'garbage\n\n\n\n'}),
  usage('txn', {input: '\nput\n\n\n'}),
  step('txn', {input: '\nput a b c\n\n\n'}),
  usage('txn', {input: '\nnonsense a\n\n\n'}),
  usage('txn', {input: '\nput --lease=zz a b\n\n\n'}),
  usage('txn', {input: '\nget a --unknown\n\n\n'}),
  usage('txn', {input: '\nput "unfinished\n\n\n'}),
];
