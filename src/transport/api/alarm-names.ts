/** Alarms by the names that etcd gives them. */

import {AlarmType} from '../../engine/types.ts';

export const ALARM_NAMES: ReadonlyMap<number, string> = new Map([
  [AlarmType.noSpace, 'NOSPACE'],
  [AlarmType.corrupt, 'CORRUPT'],
]);
