/** SETTINGS: the values of one side and their wire form. Source: RFC 9113, section 6.5. */

import {ConnectionError, ErrorCode} from './errors.ts';

export const SettingId = {
  headerTableSize: 0x1,
  enablePush: 0x2,
  maxConcurrentStreams: 0x3,
  initialWindowSize: 0x4,
  maxFrameSize: 0x5,
  maxHeaderListSize: 0x6,
} as const;

export const WINDOW_SIZE_MAX = 2 ** 31 - 1;
const FRAME_SIZE_LEAST = 2 ** 14;
const FRAME_SIZE_MOST = 2 ** 24 - 1;
const SETTING_BYTES = 6;

/** What the peer told us; starts with the protocol's defaults. */
export class PeerSettings {
  headerTableSize = 4096;
  maxConcurrentStreams = Number.POSITIVE_INFINITY;
  initialWindowSize = 65_535;
  maxFrameSize = FRAME_SIZE_LEAST;

  /**
   * Takes in the payload `bytes[start, end)` of one frame.
   * @throws ConnectionError for a value out of its range or a payload that is no list of settings
   */
  apply(bytes: Uint8Array, start: number, end: number, peer: 'client' | 'server'): void {
    if ((end - start) % SETTING_BYTES !== 0) {
      throw new ConnectionError(ErrorCode.frameSizeError, 'SETTINGS is not a multiple of six bytes');
    }
    for (let at = start; at < end; at += SETTING_BYTES) {
      const id = (bytes[at] << 8) | bytes[at + 1];
      const value =
        bytes[at + 2] * 0x1000000 + ((bytes[at + 3] << 16) | (bytes[at + 4] << 8) | bytes[at + 5]);
      this.#set(id, value, peer);
    }
  }

  #set(id: number, value: number, peer: 'client' | 'server'): void {
    switch (id) {
      case SettingId.headerTableSize:
        this.headerTableSize = value;
        return;
      case SettingId.enablePush:
        if (value > 1 || (value === 1 && peer === 'server')) {
          throw new ConnectionError(ErrorCode.protocolError, `SETTINGS_ENABLE_PUSH is ${value}`);
        }
        return;
      case SettingId.maxConcurrentStreams:
        this.maxConcurrentStreams = value;
        return;
      case SettingId.initialWindowSize:
        if (value > WINDOW_SIZE_MAX) {
          throw new ConnectionError(ErrorCode.flowControlError, `SETTINGS_INITIAL_WINDOW_SIZE is ${value}`);
        }
        this.initialWindowSize = value;
        return;
      case SettingId.maxFrameSize:
        if (value < FRAME_SIZE_LEAST || value > FRAME_SIZE_MOST) {
          throw new ConnectionError(ErrorCode.protocolError, `SETTINGS_MAX_FRAME_SIZE is ${value}`);
        }
        this.maxFrameSize = value;
        return;
      default:
      // Unknown settings are ignored, and so is the peer's header list bound: ours are far below any.
    }
  }
}

/** The payload of a SETTINGS frame. */
export function encodeSettings(settings: ReadonlyArray<readonly [id: number, value: number]>): Buffer {
  const bytes = Buffer.alloc(settings.length * SETTING_BYTES);
  settings.forEach(([id, value], i) => {
    bytes.writeUInt16BE(id, i * SETTING_BYTES);
    bytes.writeUInt32BE(value, i * SETTING_BYTES + 2);
  });
  return bytes;
}
