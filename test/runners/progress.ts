/**
 * What a long run has come to so far: a line each ten seconds, on stderr, so that what it finds in the end is alone on
 * stdout.
 */

const TELL_EACH_MS = 10_000;

export class Progress {
  #toldMs = performance.now();

  /** To be called often; what it costs is a look at the clock. `text` is asked for when a line is due. */
  at(text: () => string): void {
    const nowMs = performance.now();
    if (nowMs - this.#toldMs < TELL_EACH_MS) return;
    this.#toldMs = nowMs;
    console.error(text());
  }
}
