/** The files of --cacert, --cert and --key, looked at before anybody is dialled with them. */

import {createPrivateKey, X509Certificate} from 'node:crypto';
import {readFile} from 'node:fs/promises';
import type {ConnectionOptions} from 'node:tls';
import {CommandError, ExitCode} from './exit.ts';
import {fileReason} from './file-error.ts';

type Flag = 'cacert' | 'cert' | 'key';

/** @throws CommandError 128 naming the flag whose file cannot be read, is something else, or does not belong */
export async function readCertificates(
  paths: Readonly<Record<Flag, string>>,
): Promise<Pick<ConnectionOptions, 'ca' | 'cert' | 'key'>> {
  const read = async (flag: Flag): Promise<Buffer> => {
    const path = paths[flag];
    return readFile(path).catch((error: unknown) => {
      throw bad(`--${flag}=${path}: ${fileReason(error)}`, error);
    });
  };
  const options: Pick<ConnectionOptions, 'ca' | 'cert' | 'key'> = {};
  if (paths.cacert !== '') {
    const ca = await read('cacert');
    certificateOf(ca, `--cacert=${paths.cacert}`);
    options.ca = ca;
  }
  if (paths.cert !== '') {
    const [cert, key] = [await read('cert'), await read('key')];
    const certificate = certificateOf(cert, `--cert=${paths.cert}`);
    if (!certificate.checkPrivateKey(keyOf(key, `--key=${paths.key}`))) {
      throw bad(`--key=${paths.key}: not the key of the certificate --cert=${paths.cert}`, undefined);
    }
    Object.assign(options, {cert, key});
  }
  return options;
}

function certificateOf(pem: Buffer, label: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw bad(`${label}: not a certificate in PEM form (-----BEGIN CERTIFICATE-----)`, error);
  }
}

function keyOf(pem: Buffer, label: string) {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw bad(`${label}: not an unencrypted private key in PEM form (-----BEGIN PRIVATE KEY-----)`, error);
  }
}

function bad(line: string, cause: unknown): CommandError {
  return new CommandError(ExitCode.badArguments, line, cause);
}
