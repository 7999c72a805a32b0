/** A socket without a network: what is written is kept, and whether it "leaves" is the test's to say. */

import {EventEmitter} from 'node:events';
import type {Socket} from 'node:net';

export class MemorySocket extends EventEmitter {
  destroyed = false;
  writableEnded = false;
  writableLength = 0;
  isPaused = false;
  /** Bytes written stay unsent until `drain`. */
  isStuck = false;
  readonly written: Buffer[] = [];

  asSocket(): Socket {
    return this as unknown as Socket;
  }

  setNoDelay(): void {}
  cork(): void {}
  uncork(): void {}

  write(bytes: Uint8Array): boolean {
    this.written.push(Buffer.from(bytes));
    if (this.isStuck) this.writableLength += bytes.length;
    return this.writableLength === 0;
  }

  /** The peer has read everything. */
  drain(): void {
    this.isStuck = false;
    if (this.writableLength === 0) return;
    this.writableLength = 0;
    this.emit('drain');
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  end(): void {
    this.writableEnded = true;
  }

  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    setImmediate(() => this.emit('close'));
  }
}
