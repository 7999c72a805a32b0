import {describe, expect, it} from 'vitest';
import {findCommand} from '../../../src/commands/_shared/dispatch.ts';

const find = (line: string) => findCommand(line.split(' '));

describe('dispatch', () => {
  it.each<[string, string, string]>([
    ['get a', 'get', 'a'],
    ['lease grant 5', 'lease grant', '5'],
    ['snap sav file', 'snapshot save', 'file'],
    ['mem list', 'member list', ''],
    ['compact 5', 'compaction', '5'],
    ['delete a', 'del', 'a'],
    ['--endpoints a,b -w json get a', 'get', '--endpoints a,b -w json a'],
    ['--endpoints=a -wjson lease --hex list', 'lease list', '--endpoints=a -wjson --hex'],
    ['endpoint --cluster health', 'endpoint health', '--cluster'],
    ['watch a -- get b', 'watch', 'a -- get b'],
    ['put -- -a -b', 'put', '-- -a -b'],
  ])('Ensure that %s runs the right command with the right words.', (line, path, rest) => {
    const found = find(line);
    expect(found).toMatchObject({path: path.split(' '), isCommand: true});
    expect(found.rest.join(' ')).toBe(rest);
  });

  it('Ensure that a topic or nothing at all is no command.', () => {
    expect(find('lease')).toMatchObject({path: ['lease'], isCommand: false});
    expect(findCommand([])).toMatchObject({path: [], isCommand: false});
    expect(find('-- get a')).toMatchObject({path: [], isCommand: false});
  });

  it('Ensure that an unknown or ambiguous name is refused.', () => {
    expect(() => find('nonsense')).toThrow('unknown command "nonsense" for "kvd"; see: kvd --help');
    expect(() => find('l')).toThrow('it could be lease or lock');
    expect(() => find('lease xyz')).toThrow('unknown command "xyz" for "kvd lease"; see: kvd lease --help');
    expect(() => find('constructor')).toThrow('unknown command');
  });
});
