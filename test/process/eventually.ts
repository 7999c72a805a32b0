/** Waiting for something observable, with a deadline; the only way in which a test passes time. */

export interface EventuallyOptions {
  readonly timeoutMs?: number;
  readonly everyMs?: number;
  /** What was waited for, for the error. */
  readonly what: string;
}

/** Calls `look` until it returns something other than undefined or false, and returns that. Its errors mean "not yet". */
export async function eventually<Result>(
  look: () => Promise<Result | undefined | false> | Result | undefined | false,
  options: EventuallyOptions,
): Promise<Result> {
  const {timeoutMs = 20_000, everyMs = 25, what} = options;
  const untilMs = performance.now() + timeoutMs;
  let lastError: unknown;
  for (;;) {
    try {
      const result = await look();
      if (result !== undefined && result !== false) return result;
    } catch (error) {
      lastError = error;
    }
    if (performance.now() >= untilMs) {
      throw new Error(`not within ${timeoutMs} ms: ${what}`, {cause: lastError});
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
