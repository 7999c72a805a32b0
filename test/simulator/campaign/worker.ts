/** A process of a campaign: runs one seed after the other as it is told, and tells what each came to. */

import {runCanary} from './canary.ts';
import {runSeed, type SeedResult} from './seed-result.ts';

export type Order =
  | {readonly kind: 'canary'}
  | {readonly kind: 'seed'; readonly seed: number; readonly operations: number};

export type Answer =
  | {readonly kind: 'canary'; readonly isCaught: boolean; readonly invariant: string | undefined}
  | {readonly kind: 'seed'; readonly result: SeedResult};

// Refusals are errors, and most of what one costs is its stack; whoever repeats a seed alone gets all of it.
Error.stackTraceLimit = 4;
process.on('message', (order: Order) => {
  void answerTo(order).then((answer) => process.send?.(answer));
});
// A signal to the whole group is for the campaign: it lets its workers finish, and then lets go of them.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined);
process.on('disconnect', () => process.exit());

async function answerTo(order: Order): Promise<Answer> {
  if (order.kind === 'seed') return {kind: 'seed', result: await runSeed(order.seed, order.operations)};
  const {report, isCaught} = await runCanary();
  return {kind: 'canary', isCaught, invariant: report.violation?.invariant};
}
