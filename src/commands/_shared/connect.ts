/** Makes the client from the global flags. */

import {EtcdClient, type EtcdClientOptions} from '../../transport/client/etcd-client.ts';
import {badArguments, CommandError, ExitCode} from './exit.ts';
import type {GlobalFlags} from './global-flags.ts';
import type {Terminal} from './terminal.ts';

export async function connect(flags: GlobalFlags, terminal: Terminal): Promise<EtcdClient> {
  const endpoints = flags.endpoints.map((endpoint) => endpoint.trim()).filter((endpoint) => endpoint !== '');
  if (endpoints.length === 0) throw badArguments('no endpoints given; name one with --endpoints=HOST:PORT');
  return new EtcdClient({
    endpoints,
    dialTimeoutMs: flags['dial-timeout'],
    keepAliveTimeMs: flags['keepalive-time'],
    keepAliveTimeoutMs: flags['keepalive-timeout'],
    maxReceiveBytes: flags['max-recv-bytes'] > 0 ? flags['max-recv-bytes'] : undefined,
    token: flags['auth-jwt-token'] === '' ? undefined : flags['auth-jwt-token'],
    ...(await credentials(flags, terminal)),
    tls: await tlsOptions(flags, endpoints),
  });
}

async function credentials(
  {user, password}: GlobalFlags,
  terminal: Terminal,
): Promise<Pick<EtcdClientOptions, 'user' | 'password'>> {
  if (user === '') return {};
  if (password !== '') return {user, password};
  const colon = user.indexOf(':');
  if (colon >= 0) return {user: user.slice(0, colon), password: user.slice(colon + 1)};
  const {askPassword} = await import('./ask-password.ts');
  return {user, password: await askPassword('Password: ', terminal)};
}

/** Undefined when neither flag nor endpoint asks for TLS. */
async function tlsOptions(
  flags: GlobalFlags,
  endpoints: readonly string[],
): Promise<EtcdClientOptions['tls']> {
  const {cert, key, cacert} = flags;
  if ((cert === '') !== (key === '')) {
    throw new CommandError(
      ExitCode.badArguments,
      `--${cert === '' ? 'cert' : 'key'} is missing: --cert and --key belong together`,
    );
  }
  const isAsked = cert !== '' || cacert !== '' || !flags['insecure-transport'];
  if (!isAsked && !endpoints.some((endpoint) => /^(https|unixs):/.test(endpoint))) return undefined;
  const {readCertificates} = await import('./certificates.ts');
  return {
    ...(await readCertificates({cert, key, cacert})),
    rejectUnauthorized: !flags['insecure-skip-tls-verify'],
  };
}
