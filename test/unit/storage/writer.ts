/** A process that appends to a log until it is killed, and tells each index once it is durable. For wal-kill.test.ts. */

import {NodeClock} from '../../../src/engine/io/clock.ts';
import {NodeDisk} from '../../../src/engine/io/disk.ts';
import {silentLogger} from '../../../src/engine/io/logger.ts';
import {MetricRegistry} from '../../../src/engine/io/metrics.ts';
import {Wal} from '../../../src/engine/storage/wal.ts';
import {entry, METADATA} from './wal-fixture.ts';

const disk = new NodeDisk(process.argv[2]);
const options = {
  disk,
  clock: new NodeClock(),
  logger: silentLogger,
  metrics: new MetricRegistry(),
  folder: 'wal',
};

let index = 0;
let wal: Wal;
if (await disk.exists('wal')) {
  const opened = await Wal.open({...options, allowDoubtfulTail: false});
  wal = opened.wal;
  index = opened.contents.entries.at(-1)?.index ?? 0;
} else {
  wal = await Wal.create({...options, metadata: METADATA, segmentBytes: 32 * 1024});
}
for (;;) {
  const count = 1 + (index % 5);
  const list = Array.from({length: count}, (_, i) =>
    entry(index + 1 + i, 1, Buffer.alloc(100 + (index % 700), index)),
  );
  await wal.append({entries: list, hardState: undefined, sync: true});
  index += count;
  process.stdout.write(`${index}\n`);
}
