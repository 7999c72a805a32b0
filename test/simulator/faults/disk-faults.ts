/** Faults of a machine's disk while its process runs. */

import {FAIR_DISK} from '../simulated-member.ts';
import type {DiskFault, FaultScene, Stroke} from './fault-kinds.ts';

export function strikeDisk(kind: DiskFault, scene: FaultScene, {member, ms}: Stroke): void {
  const {random} = scene;
  switch (kind) {
    case 'slowDisk':
      member.weather.syncMsMax = 50 + random.below(1_500);
      scene.later(ms, () => (member.weather.syncMsMax = FAIR_DISK.syncMsMax));
      return;
    case 'hungDisk':
      member.weather.isHung = true;
      scene.later(ms, () => (member.weather.isHung = false));
      return;
    case 'syncError':
      member.weather.syncErrors = 1;
      return;
    case 'ioError':
      member.weather.ioErrors = 1;
      return;
    case 'fullDisk':
      member.setDiskFull(true);
      scene.later(ms, () => member.setDiskFull(false));
      return;
    case 'fullStore':
      member.images.isFull = true;
      scene.later(ms, () => (member.images.isFull = false));
  }
}
