/**
 * Tries several targets, each a little after the one before it, so that one that takes connections and then says
 * nothing does not keep its caller from the others.
 */

/** Milliseconds that a target has to itself before the next is tried beside it (RFC 8305, section 8). */
export const HEAD_START_MS = 250;

export interface FirstReady<Result> {
  readonly target: string;
  readonly result: Result;
}

/**
 * The first target that is ready; a failure brings the next one at once.
 * @returns undefined when all have failed, which `attempt` saw
 */
export function firstReady<Result>(
  targets: readonly string[],
  attempt: (target: string) => Promise<Result>,
): Promise<FirstReady<Result> | undefined> {
  return new Promise((resolve) => {
    let begun = 0;
    let failed = 0;
    let isDecided = false;
    let headStart: NodeJS.Timeout | undefined;
    const decide = (found: FirstReady<Result> | undefined): void => {
      isDecided = true;
      clearTimeout(headStart);
      resolve(found);
    };
    const beginNext = (): void => {
      clearTimeout(headStart);
      const target = targets[begun++];
      if (begun < targets.length) headStart = setTimeout(beginNext, HEAD_START_MS);
      attempt(target).then(
        (result) => {
          if (!isDecided) decide({target, result});
        },
        () => {
          failed++;
          if (isDecided) return;
          if (failed === targets.length) decide(undefined);
          else if (begun < targets.length) beginNext();
        },
      );
    };
    beginNext();
  });
}
