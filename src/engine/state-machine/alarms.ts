/** Alarms: replicated facts about members that make the cluster refuse things until somebody deactivates them. */

import {assert, EngineError} from '../errors.ts';
import {EMPTY_BYTES} from '../lib/bytes.ts';
import {
  ByteReader,
  DamagedBytesError,
  varint64Size,
  varintSize,
  writeVarint,
  writeVarint64,
} from '../lib/varint.ts';
import {type Alarm, AlarmType, type MemberId} from '../types.ts';
import type {Effects} from './effects.ts';

export class Alarms {
  readonly #effects: Effects;
  #alarms: Alarm[] = [];

  constructor(effects: Effects) {
    this.#effects = effects;
  }

  /** By ascending member, then alarm. */
  list(): readonly Alarm[] {
    return this.#alarms;
  }

  isActive(type: number): boolean {
    return this.#alarms.some(({alarm}) => alarm === type);
  }

  /** Why a write that takes space is refused: puts, transactions with puts, lease grants. */
  refuseGrowth(): EngineError | undefined {
    return this.isActive(AlarmType.noSpace) ? new EngineError({code: 'noSpace'}) : undefined;
  }

  /** Why every read and write of keys and leases is refused: the members' data differ. */
  refuseAll(): EngineError | undefined {
    return this.isActive(AlarmType.corrupt) ? new EngineError({code: 'corrupt'}) : undefined;
  }

  activate(alarm: Alarm): Alarm {
    assert(Number.isSafeInteger(alarm.alarm) && alarm.alarm >= 0, 'an alarm has a kind');
    if (!this.#alarms.some((one) => isSame(one, alarm))) {
      this.#alarms = [...this.#alarms, alarm].sort(compareAlarms);
      this.#effects.put('alarm', encodeAlarm(alarm), EMPTY_BYTES);
    }
    return alarm;
  }

  /** @returns the alarm that was active, or undefined */
  deactivate(alarm: Alarm): Alarm | undefined {
    const active = this.#alarms.find((one) => isSame(one, alarm));
    if (active === undefined) return undefined;
    this.#alarms = this.#alarms.filter((one) => one !== active);
    this.#effects.delete('alarm', encodeAlarm(alarm));
    return active;
  }

  /** @throws EngineError storeCorrupt */
  load(): void {
    this.#alarms = [...this.#effects.records.range('alarm', {})]
      .map(([key]) => decodeAlarm(key))
      .sort(compareAlarms);
  }
}

function isSame(a: Alarm, b: Alarm): boolean {
  return a.memberId === b.memberId && a.alarm === b.alarm;
}

function compareAlarms(a: Alarm, b: Alarm): number {
  if (a.memberId !== b.memberId) return a.memberId < b.memberId ? -1 : 1;
  return a.alarm - b.alarm;
}

/** etcdserverpb.AlarmMember {1 member id, 2 alarm}: the record's key; its value is empty. */
function encodeAlarm({memberId, alarm}: Alarm): Uint8Array {
  const idSize = memberId === 0n ? 0 : 1 + varint64Size(memberId);
  const bytes = Buffer.allocUnsafe(idSize + (alarm === 0 ? 0 : 1 + varintSize(alarm)));
  if (idSize > 0) {
    bytes[0] = 0x08;
    writeVarint64(bytes, 1, memberId);
  }
  if (alarm !== 0) {
    bytes[idSize] = 0x10;
    writeVarint(bytes, idSize + 1, alarm);
  }
  return bytes;
}

/** The alarm that a record's key names. @throws EngineError storeCorrupt */
export function decodeAlarm(key: Uint8Array): Alarm {
  const reader = new ByteReader(key);
  let memberId: MemberId = 0n;
  let alarm = 0;
  try {
    while (reader.remaining > 0) {
      const tag = reader.varint();
      if (tag === 0x08) memberId = reader.varint64();
      else if (tag === 0x10) alarm = reader.varint();
      else reader.skipField(tag & 7);
    }
  } catch (error) {
    if (!(error instanceof DamagedBytesError)) throw error;
    throw new EngineError({code: 'storeCorrupt', path: 'alarm', detail: error.message});
  }
  return {memberId, alarm};
}
