/** Log lines: both formats, levels, ids, and what a switched-off level costs. */

import {describe, expect, it} from 'vitest';
import {createLogger, type LogFormat, type LogLevel} from '../../../src/engine/io/logger.ts';

async function logTo(level: LogLevel, format: LogFormat) {
  const lines: string[] = [];
  const logger = await createLogger({level, format, write: (line) => lines.push(line)});
  return {logger, lines};
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

describe('the logger', () => {
  it('Ensure that JSON lines begin with level and time, and carry message, component and fields.', async () => {
    const {logger, lines} = await logTo('info', 'json');
    logger
      .child('raft')
      .info('became leader', {term: 5, isLearner: false, urls: ['a', 'b'], nothing: undefined});
    expect(lines.length).toBe(1);
    expect(lines[0].startsWith('{"level":"info","ts":"')).toBe(true);
    expect(lines[0].endsWith('}\n')).toBe(true);
    const {ts, ...rest} = JSON.parse(lines[0]);
    expect(ts).toMatch(TIME);
    expect(rest).toEqual({
      level: 'info',
      component: 'raft',
      term: 5,
      isLearner: false,
      urls: ['a', 'b'],
      msg: 'became leader',
    });
  });

  it('Ensure that ids are written as etcd writes them, in hex.', async () => {
    const {logger, lines} = await logTo('debug', 'json');
    logger.warn('ids', {memberId: 0x8e9e05c52164694dn, leaseId: -1n, voters: [1n, 255n], term: 12});
    expect(JSON.parse(lines[0])).toMatchObject({
      memberId: '8e9e05c52164694d',
      leaseId: 'ffffffffffffffff',
      voters: ['1', 'ff'],
      term: 12,
    });
  });

  it('Ensure that console lines are for people: tabs, plain message, the rest as JSON.', async () => {
    const {logger, lines} = await logTo('info', 'console');
    logger.child('wal').error('sync failed', {path: '/x "y"', tookMs: 3});
    logger.info('plain');
    const [first, second] = lines.map((line) => line.split('\t'));
    expect(first[0]).toMatch(TIME);
    expect(first.slice(1)).toEqual(['error', 'wal', 'sync failed', '{"path":"/x \\"y\\"","tookMs":3}\n']);
    expect(second.slice(1)).toEqual(['info', 'plain\n']);
  });

  it('Ensure that each level shows itself and what is graver.', async () => {
    const shown: Record<string, string[]> = {};
    for (const level of ['debug', 'info', 'warn', 'error', 'panic', 'fatal'] as const) {
      const {logger, lines} = await logTo(level, 'json');
      logger.debug('debug');
      logger.info('info');
      logger.warn('warn');
      logger.error('error');
      shown[level] = lines.map((line) => JSON.parse(line).level);
    }
    expect(shown).toEqual({
      debug: ['debug', 'info', 'warn', 'error'],
      info: ['info', 'warn', 'error'],
      warn: ['warn', 'error'],
      error: ['error'],
      panic: [],
      fatal: [],
    });
  });

  it('Ensure that a level that is off does not look at its fields.', async () => {
    const {logger} = await logTo('info', 'json');
    const fields = {
      get costly(): string {
        throw new Error('looked at');
      },
    };
    logger.child('x').debug('off', fields);
    expect(() => logger.info('on', fields)).toThrow('looked at');
  });
});
