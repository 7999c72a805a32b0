/** What users write: flags, environment, the configuration file. */

import {parse} from 'yaml';
import {parseDurationMs} from '../../src/config/duration.ts';
import {parseEndpointUrl} from '../../src/config/url.ts';
import {parseConfig, parseServerArguments} from '../../src/config.ts';
import {EngineError} from '../../src/engine/errors.ts';
import type {FuzzTarget} from './fuzz-target.ts';

const isConfigInvalid = (error: unknown) => error instanceof EngineError && error.code === 'configInvalid';
const bytesOf = (text: string) => Buffer.from(text);

const FLAGS = [
  '--name=a\n--data-dir=x\n--listen-client-urls=http://127.0.0.1:2379,http://[::1]:2379\n--advertise-client-urls=http://127.0.0.1:2379',
  '--initial-cluster=a=http://1.2.3.4:2380,b=http://h:1\n--initial-cluster-state=existing\n--name=a',
  '--auto-compaction-mode=periodic\n--auto-compaction-retention=1h30m\n--quota-backend-bytes=8589934592',
  '--heartbeat-interval=100\n--election-timeout=1000\n--strict-reconfig-check=false\n--log-level=debug',
];
const FILE = `name: a
data-dir: 'x y'
listen-client-urls: "http://127.0.0.1:2379"
advertise-client-urls: "http://127.0.0.1:2379"
initial-cluster: 'a=http://localhost:2380'
snapshot-count: 10000
strict-reconfig-check: false
auto-compaction-mode: revision
auto-compaction-retention: "1000"
`;

export const TEXT_TARGETS: readonly FuzzTarget[] = [
  {
    name: 'flags',
    samples: FLAGS.map(bytesOf),
    run: (bytes) => {
      const flags = parseServerArguments(bytes.toString('utf8').split('\n'));
      return parseConfig({flags, environment: {}, file: undefined});
    },
    isRefusal: isConfigInvalid,
  },
  {
    name: 'environment',
    samples: FLAGS.map(bytesOf),
    run: (bytes) => {
      const lines = bytes.toString('utf8').split('\n');
      const environment = Object.fromEntries(
        lines.map((line): [string, string] => {
          const [name, ...rest] = line.replace(/^--/, '').split('=');
          return [`KVD_${name.toUpperCase().replaceAll('-', '_')}`, rest.join('=')];
        }),
      );
      return parseConfig({flags: new Map(), environment, file: undefined});
    },
    isRefusal: isConfigInvalid,
  },
  {
    name: 'config-file',
    samples: [bytesOf(FILE), bytesOf('{"name": "a", "snapshot-count": 5}'), bytesOf('')],
    run: (bytes) => {
      let content: unknown;
      try {
        content = parse(bytes.toString('utf8'), {logLevel: 'error'});
      } catch {
        // Serve says that the file is not YAML.
        return undefined;
      }
      return parseConfig({flags: new Map(), environment: {}, file: {path: 'kvd.yml', content}});
    },
    isRefusal: isConfigInvalid,
  },
  {
    name: 'urls-and-durations',
    samples: ['http://127.0.0.1:2379', 'https://[::1]:1', 'unix:///tmp/x', '1h30m', '5ms'].map(bytesOf),
    run: (bytes) => [parseEndpointUrl(bytes.toString('utf8')), parseDurationMs(bytes.toString('utf8'))],
    // They answer; they do not throw.
    isRefusal: () => false,
  },
];
