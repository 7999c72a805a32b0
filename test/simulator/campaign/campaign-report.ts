/** A campaign's sums as a page of Markdown, as docs/TESTING.md shows them. */

import {FAULT_KINDS} from '../faults/fault-kinds.ts';
import type {CampaignSums, FoundViolation, SimulatorShare} from './campaign-sums.ts';

const DAY_MS = 86_400_000;
/** How often each pair of kinds is to have met. */
const PAIR_BAR = 1_000;
/** How often each point is to have been reached. */
const POINT_BAR = 10;

export function reportOf(sums: CampaignSums): string {
  const kinds = FAULT_KINDS.length;
  const pairs = Object.entries(sums.pairs);
  const points = Object.entries(sums.reached);
  const deaths = points.filter(([name]) => !name.startsWith('says: '));
  const states = points.filter(([name]) => name.startsWith('says: '));
  const often = (list: readonly (readonly [string, number])[], bar: number) =>
    list.filter(([, count]) => count >= bar).length;
  const rows: [string, string][] = [
    ['engine', `\`${sums.engine}\``],
    ['simulators', sums.simulators.map(shareText).join('; ')],
    ['seeds', number(sums.seeds)],
    ['violations', number(sums.violations.length)],
    ['operations of clients', number(sums.operations)],
    ['answers checked', number(sums.answered)],
    ['sets of keys whose order nobody could decide', number(sums.undecidedParts)],
    ['writes acknowledged', number(sums.acknowledgedWrites)],
    ['watch events checked', number(sums.watchEvents)],
    ['simulated time', `${(sums.virtualMs / DAY_MS).toFixed(1)} days`],
    ['steps, each followed by the checks', number(sums.steps)],
    ['elections', number(sums.elections)],
    ['changes of members', number(sums.memberChanges)],
    ['leases expired', number(sums.expiredLeases)],
    [
      'faults',
      `${number(total(sums.faults))}, at least ${sums.seeds === 0 ? 0 : sums.faultsMin} in each run`,
    ],
    ['runs with three or more kinds of faults at a time', percent(sums.overlapping, sums.seeds)],
    [
      'pairs of kinds of faults at a time',
      `${pairs.length} of ${(kinds * (kinds + 1)) / 2}; ${often(pairs, PAIR_BAR)} of them ${PAIR_BAR} times or more`,
    ],
    [
      'points at which members died',
      `${deaths.length}; ${often(deaths, POINT_BAR)} of them ${POINT_BAR} times or more`,
    ],
    [
      'different lines that members logged',
      `${states.length}; ${often(states, POINT_BAR)} of them ${POINT_BAR} times or more`,
    ],
    [
      'runs repeated in another process',
      `${number(sums.repeated)}, ${sums.differing} of them went another way`,
    ],
    ['canaries caught', `${sums.canariesCaught} of ${sums.canariesCaught + sums.canariesMissed}`],
    ['speed', `${speedOf(sums)} operations per second of a core`],
  ];
  return [
    '| campaign | |',
    '|---|---|',
    ...rows.map(([name, value]) => `| ${name} | ${value} |`),
    '',
    '| kind of fault | times |',
    '|---|---|',
    ...FAULT_KINDS.map((kind) => `| ${kind} | ${number(sums.faults[kind] ?? 0)} |`),
    '',
    `Pairs that met least: ${list(pairs.sort(ascending).slice(0, 8))}.`,
    '',
    ...listOf('Violations', sums.violations, () => ''),
    ...listOf(
      'Seen by an older simulator, and not in a run of the same seed by a later one',
      sums.settled,
      ({settledBy}) => ` (settled by ${settledBy})`,
    ),
  ].join('\n');
}

function listOf<Kind extends FoundViolation>(
  title: string,
  all: readonly Kind[],
  more: (one: Kind) => string,
): string[] {
  if (all.length === 0) return [];
  const lines = all.map((one) => {
    const {seed, step, invariant, detail, simulator} = one;
    const shown = detail.split('\n')[0].slice(0, 300);
    return `- seed ${seed}, step ${step}, simulator ${simulator}: ${invariant}: ${shown}${more(one)}`;
  });
  return [`${title}:`, '', ...lines, ''];
}

const shareText = (share: SimulatorShare): string =>
  `\`${share.simulator}\`: ${number(share.seeds)} seeds, ${speedOf(share)} operations per second of a core`;

const speedOf = ({operations, cpuMs}: {readonly operations: number; readonly cpuMs: number}): string =>
  number((1_000 * operations) / Math.max(1, cpuMs));
const number = (value: number): string => Math.round(value).toLocaleString('en-US');
const percent = (part: number, whole: number): string =>
  `${((100 * part) / Math.max(1, whole)).toFixed(1)} %`;
const total = (counts: Record<string, number>): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0);
const ascending = (a: readonly [string, number], b: readonly [string, number]): number => a[1] - b[1];
const list = (entries: readonly (readonly [string, number])[]): string =>
  entries.map(([name, count]) => `${name} ${number(count)}`).join(', ') || 'none';
