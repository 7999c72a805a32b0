/** That a client which is shown an older revision by the same process is noticed. */

import {beforeEach, describe, expect, it} from 'vitest';
import {ClientSession} from './client-session.ts';
import type {Life} from './simulated-member.ts';

describe('the session of a client', () => {
  const [first, second] = [{} as Life, {} as Life];
  let found: string[];
  let session: ClientSession;

  beforeEach(() => {
    found = [];
    session = new ClientSession('c1', (_name, detail) => found.push(detail));
    session.ask(first)(first, 10);
  });

  it('Ensure that an older revision at the same process is noticed.', () => {
    session.ask(first)(first, 10);
    expect([found, session.shownBy(first), session.shownBy(second)]).toEqual([[], 10, 0]);
    session.ask(first)(first, 9);
    expect(found).toEqual(['c1 is told of revision 9 where 10 was shown before']);
  });

  it('Ensure that another process may be behind, and an answer may be older than one that was not there yet.', () => {
    session.ask(second)(second, 5);
    session.ask(first)(second, 4);
    session.ask(undefined)(first, 3);
    const [early, late] = [session.ask(first), session.ask(first)];
    late(first, 20);
    early(first, 15);
    expect(found).toEqual([]);
    session.ask(first)(first, 19);
    expect(found).toHaveLength(1);
  });
});
