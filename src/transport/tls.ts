/** What the TLS ends of this process are opened with: options of `node:tls`, passed through as they are. */

import type {ConnectionOptions, TlsOptions} from 'node:tls';

/** One for each set of settings (peer, client). Absent where only plain URLs are served. */
export interface TlsEnds {
  /** For `https:` and `unixs:` URLs that are listened on. */
  readonly listen: TlsOptions;
  /** For `https:` and `unixs:` URLs that are dialled. */
  readonly dial: ConnectionOptions;
}
