/** A port or socket that cannot be listened on, in one line for whoever started the member. */

import {EngineError} from '../engine/errors.ts';

/** By the codes of the system: what is wrong, and what to do. */
const REASONS: Readonly<Record<string, readonly [what: string, remedy: string]>> = {
  EADDRINUSE: ['the address is already in use', 'stop the program that has it, or listen elsewhere'],
  EADDRNOTAVAIL: [
    'this machine does not have the address',
    'listen on one of its own, or on 0.0.0.0 for all',
  ],
  EACCES: ['permission denied', 'choose a port above 1023, or change the user'],
};
/** Node has one code for a folder that is missing and one that must not be written. */
const NO_SOCKET_THERE = [
  'the socket cannot be made there',
  'see that its folder exists and this user may write in it',
] as const;

/** @param url as the setting has it; `flag` names that setting */
export function cannotListen({url, flag, cause}: {url: string; flag: string; cause: unknown}): EngineError {
  const {code = '', message} = cause as NodeJS.ErrnoException;
  const isDenied = url.startsWith('unix') && code === 'EACCES';
  const known = isDenied ? NO_SOCKET_THERE : Object.hasOwn(REASONS, code) ? REASONS[code] : undefined;
  const [what, remedy] = known ?? [message, 'listen elsewhere'];
  const detail = `cannot listen on ${url}: ${what}; ${remedy} (--${flag})`;
  return new EngineError({code: 'configInvalid', detail}, cause);
}
