/**
 * Help of every command, and the one line with its exit code that wrong arguments get. Commands run in this
 * process, against an endpoint where nobody listens: wrong arguments must be found before it is asked.
 */

import {readdirSync} from 'node:fs';
import {join, sep} from 'node:path';
import {describe, expect, it} from 'vitest';
import {describeError} from '../../../src/commands/_shared/describe-error.ts';
import {dispatch} from '../../../src/commands/_shared/dispatch.ts';
import {showHelp} from '../../../src/commands/_shared/help.ts';
import {wordOf} from '../../../src/commands/_shared/words.ts';
import {MemoryTerminal} from '../../unit/commands/memory-terminal.ts';
import {expectGolden} from './golden-file.ts';

const ROOT = join(import.meta.dirname, '../../../src/commands');

/** Every file under src/commands is a command, every folder a topic. */
const COMMANDS = [
  '',
  ...readdirSync(ROOT, {recursive: true, encoding: 'utf8'})
    .filter((name) => !name.startsWith('_'))
    .map((name) => name.replace(/\.ts$/, '').replaceAll(sep, ' ')),
].sort();

const WRONG = [
  'nonsense',
  '--nonsense',
  'l',
  'lease nonsense',
  'pt a b',
  'snpashot save x',
  'member lsit',
  'endpoint heatlh',
  'compactoin 5',
  'get a --prefx',
  'get a -prefix',
  'get a --write-uot=json',
  '--endpiont=x get a',
  'get',
  'get a b --prefix',
  'get a --prefix --from-key',
  'get a --keys-only --count-only',
  'get a --count-only',
  'get a --print-value-only -w json',
  'get a --order=up',
  'get a --sort-by=size',
  'get a --consistency=x',
  'get a --rev=x',
  'get a --nonsense',
  'get a -w nonsense',
  'get a -w table',
  'get a --discovery-srv=x',
  'get a --endpoints=',
  'get a --cert=x',
  'get a --cacert=/does/not/exist',
  'get a --cacert=src',
  'get a --cacert=package.json',
  'get a --cert=package.json --key=/does/not/exist',
  'get a --cert=package.json --key=package.json',
  'put',
  'put a',
  'put a b --ignore-value',
  'put a b --lease=zz',
  'put balance -5',
  'put a b -w table',
  'del',
  'del a b c',
  'del a b --prefix',
  'txn a',
  'txn',
  'compaction',
  'compaction x',
  'watch',
  'watch a b --prefix',
  'watch a --',
  'lease grant',
  'lease grant x',
  'lease revoke',
  'lease revoke zz',
  'lease timetolive',
  'lease keep-alive',
  'member add',
  'member add a b',
  'member add a',
  'member remove',
  'member remove zz',
  'member update 1',
  'member promote',
  'member list --consistency=x',
  'endpoint status -w protobuf',
  'alarm list x',
  'alarm disarm x',
  'move-leader',
  'move-leader zz',
  'lock',
  'elect',
  'elect a',
  'elect a b -l',
  'snapshot save',
  'snapshot save a --endpoints=a,b',
  'snapshot status',
  'snapshot status /does/not/exist',
  'snapshot status src',
  'snapshot status package.json/x',
  'snapshot status package.json',
  'snapshot restore',
  'snapshot restore a --bump-revision=1',
  'snapshot restore a --mark-compacted',
  'snapshot restore a --wal-dir=x',
  'snapshot restore a --name=x --initial-cluster=a=http://h:1',
  'snapshot restore /does/not/exist',
  'snapshot restore src',
  'serve nonsense',
  'serve --nonsense',
  'serve --listen-client-url=http://127.0.0.1:1',
  'serve -confg-file x.yml',
  'serve --name',
  'serve --election-timeout=1',
  'serve --config-file=/does/not/exist',
  'serve --config-file=src',
];

describe('lines', () => {
  it('Ensure that the help of every command is as in its golden file.', async () => {
    for (const command of COMMANDS) {
      const terminal = new MemoryTerminal();
      await showHelp(command === '' ? [] : command.split(' '), terminal);
      const text = terminal.text.replace(
        /GLOBAL FLAGS\n[\s\S]*?\n\n/,
        'GLOBAL FLAGS\n  (as of all commands)\n\n',
      );
      const name = command === '' ? 'kvd' : command.replaceAll(' ', '-');
      expectGolden(`help/${name}.txt`, text.replace(/kvd\/\S+ \S+ \S+/, 'kvd/VERSION'));
    }
  });

  it('Ensure that the help of every command says each thing once and has an example.', async () => {
    for (const command of COMMANDS) {
      const terminal = new MemoryTerminal();
      terminal.columns = 200;
      await showHelp(command === '' ? [] : command.split(' '), terminal);
      const [summary = ''] = terminal.text.split('\n');
      expect(summary).not.toBe('');
      expect(terminal.text.split(summary), command).toHaveLength(2);
      const isCommand = !terminal.text.includes('\nCOMMANDS\n');
      expect(/^EXAMPLES\n +.*kvd /m.test(terminal.text), command).toBe(isCommand);
    }
  });

  it('Ensure that wrong arguments get one clear line and the right exit code.', async () => {
    let text = '';
    for (const line of WRONG) {
      const terminal = new MemoryTerminal();
      const words = /^serve|--endpoints/.test(line)
        ? line.split(' ')
        : ['--endpoints=127.0.0.1:9', ...line.split(' ')];
      const described = await dispatch(words.map(wordOf), {environment: {}, terminal}).then(
        () => ({line: '(accepted)', exitCode: 0}),
        describeError,
      );
      expect(terminal.text).toBe('');
      text += `$ kvd ${line}\n${terminal.errors}Error: ${described.line}\n${described.exitCode}\n`;
    }
    expectGolden('errors.txt', text);
  });
});
