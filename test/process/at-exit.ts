/**
 * What must not outlive this process: servers, mounts, folders. It is ended or removed when the process ends before
 * that was done: by a signal, by an error that nobody caught, or because a test failed.
 */

import {constants} from 'node:os';

/** `signal` undefined: the process ends by itself. Nothing can be waited for any more. */
type LastAction = (signal: NodeJS.Signals | undefined) => void;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const actions = new Set<LastAction>();
let endedBy: NodeJS.Signals | undefined;

/** The last one that was put runs first. @returns a function that calls it off */
export function atExit(action: LastAction): () => void {
  if (actions.size === 0) listen();
  actions.add(action);
  return () => {
    actions.delete(action);
    if (actions.size === 0) stopListening();
  };
}

function listen(): void {
  process.on('exit', runAll);
  for (const signal of SIGNALS) process.on(signal, endBy);
}

function stopListening(): void {
  process.off('exit', runAll);
  for (const signal of SIGNALS) process.off(signal, endBy);
}

function endBy(signal: NodeJS.Signals): void {
  endedBy = signal;
  // As a shell tells it.
  process.exit(128 + constants.signals[signal]);
}

function runAll(): void {
  for (const action of [...actions].reverse()) {
    try {
      action(endedBy);
    } catch (error) {
      // The others still have to be ended.
      console.error(error);
    }
  }
}
