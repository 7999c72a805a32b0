/** What users type: words, scripts of transactions, lines of a prompt, numbers; and the quotes that are printed. */

import {DEL_FLAGS, deleteRequest} from '../../src/commands/_shared/del-arguments.ts';
import {describeError} from '../../src/commands/_shared/describe-error.ts';
import {dispatch, findCommand} from '../../src/commands/_shared/dispatch.ts';
import {CommandError} from '../../src/commands/_shared/exit.ts';
import {GET_FLAGS, rangeRequest} from '../../src/commands/_shared/get-arguments.ts';
import {GLOBAL_FLAGS, withEnvironment} from '../../src/commands/_shared/global-flags.ts';
import {goQuote, hexEscape} from '../../src/commands/_shared/go-quote.ts';
import {leaseArgument} from '../../src/commands/_shared/lease-argument.ts';
import {memberArgument} from '../../src/commands/_shared/member-argument.ts';
import {parseDecimal, parseLeaseId, parseMemberId} from '../../src/commands/_shared/numbers.ts';
import {parseWords} from '../../src/commands/_shared/parse-words.ts';
import {parseFormat} from '../../src/commands/_shared/printer.ts';
import {PUT_FLAGS, putRequest} from '../../src/commands/_shared/put-arguments.ts';
import {splitLines} from '../../src/commands/_shared/terminal.ts';
import {readTxn} from '../../src/commands/_shared/txn-script.ts';
import {formatBytes} from '../../src/commands/_shared/units.ts';
import {WATCH_FLAGS, watchArguments} from '../../src/commands/_shared/watch-arguments.ts';
import {bytesOf, splitLine, textOf, unquote, wordOf} from '../../src/commands/_shared/words.ts';
import {hex64} from '../../src/engine/lib/hex64.ts';
import {decodeTxnRequest, encodeTxnRequest} from '../../src/transport/proto/generated/kv.ts';
import {MemoryTerminal} from '../unit/commands/memory-terminal.ts';
import {type FuzzTarget, neverRefuses, promise, promiseSame} from './fuzz-target.ts';
import {oneOf} from './mutate.ts';
import {changedText} from './mutate-value.ts';

/** Told as one line with a known exit code. */
function isTold(error: unknown): boolean {
  if (!(error instanceof CommandError)) return false;
  const {line, exitCode} = describeError(error);
  return line.length > 0 && [1, 2, 3, 4, 5, 6, 128].includes(exitCode);
}

/** A plain Error in words of its own, which the caller shows. */
const isWorded = (error: unknown) => error instanceof Error && error.constructor === Error;

const SCRIPTS = [
  'mod("key") > "0"\nval("a\\n") = "\\xff\\u00e4"\n\nput key value\nget key --limit=3\n\ndel key --prefix\n\n',
  'lease("k") != "7b"\nc( "k")  <  "5"\n\nput "a b" \'c d\' --lease=7 --prev-kv\nget --from-key "" --order=DESCEND --sort-by=VALUE\n\n\n',
];
const SCRIPT: FuzzTarget = {
  name: 'txn-script',
  samples: SCRIPTS.map((text) => Buffer.from(text)),
  malform: (random) => {
    const lines = oneOf(random, SCRIPTS).split('\n');
    const at = random.below(lines.length);
    lines[at] = changedText(random, lines[at]);
    return Buffer.from(lines.join('\n'));
  },
  run: async (bytes) => {
    const request = await readTxn(new MemoryTerminal(bytes).lines(), () => undefined);
    const written = Buffer.from(encodeTxnRequest(request));
    promiseSame(Buffer.from(encodeTxnRequest(decodeTxnRequest(written))), written);
  },
  isRefusal: isTold,
};

const WATCH_LINES = [
  'watch key',
  'watch "a\\x00b" c --rev=5 --prev-kv',
  "watch 'x y' --prefix -- echo 1",
  'progress',
];
const PROMPT: FuzzTarget = {
  name: 'watch-prompt',
  samples: WATCH_LINES.map((text) => Buffer.from(text)),
  malform: (random) => Buffer.from(changedText(random, oneOf(random, WATCH_LINES))),
  run: (bytes) => {
    const [name, ...words] = splitLine(bytes.toString('latin1'));
    if (name !== 'watch') return;
    const {request} = watchArguments(parseWords(words, WATCH_FLAGS), {});
    promise((request.key?.length ?? 0) > 0, 'a watch has a key');
  },
  isRefusal: (error) => isTold(error) || isWorded(error),
};

const COMMAND_LINES = [
  'get\nkey\n5s\n--limit=5\n-w\njson',
  'put\nkey\nvalue\n--lease=7f\n--endpoints=a:1,b:2\n--hex',
  'del\nkey\n--prefix\n--prev-kv=true\n--command-timeout=5s',
  '--write-out=fields\nget\n--from-key\n\n--order=ASCEND\n--consistency=s',
  'lease\ngrant\n60',
];
const COMMANDS: FuzzTarget = {
  name: 'command-words',
  samples: COMMAND_LINES.map((text) => Buffer.from(text)),
  malform: (random) => {
    const names = [...Object.keys(GLOBAL_FLAGS), ...Object.keys(GET_FLAGS), ...Object.keys(PUT_FLAGS)];
    const words = oneOf(random, COMMAND_LINES).split('\n');
    const flag = `--${oneOf(random, names)}${oneOf(random, ['', '=', '=x', '=1', '=true', '=-1', '=5s', '=9'.repeat(30)])}`;
    return Buffer.from(words.toSpliced(random.below(words.length), random.below(2), flag).join('\n'));
  },
  run: async (bytes) => {
    const {path, rest: argv} = findCommand(bytes.toString('latin1').split('\n'));
    const name = path.join(' ');
    const read = {get: GET_FLAGS, put: PUT_FLAGS, del: DEL_FLAGS};
    const own = Object.hasOwn(read, name) ? read[name as keyof typeof read] : {};
    const {flags, given, words} = parseWords(argv, {...own, ...GLOBAL_FLAGS});
    const seconds = argv.find((word) => word.startsWith('5'));
    const environment = {ETCDCTL_DIAL_TIMEOUT: seconds && textOf(seconds), KVD_DEBUG: 'true'};
    parseFormat(withEnvironment(flags, given, environment)['write-out']);
    const all = flags as never;
    if (name === 'get') rangeRequest(words, all);
    else if (name === 'del') deleteRequest(words, all);
    else if (name === 'put') await putRequest(words, all, async () => Buffer.from('input'));
    else if (path[0] === 'lease') leaseArgument(words, 'one');
    else memberArgument(words);
  },
  isRefusal: isTold,
};

/** Names of commands alone: what is found is shown as help, and nothing runs. */
const NAMES = [
  'lease',
  'lea',
  'snapshot sav',
  'member',
  'compact',
  'delete',
  'help get',
  '--hex get',
  '-w json put',
  'snap',
  'version',
];
const COMMAND_NAMES: FuzzTarget = {
  name: 'command-names',
  samples: NAMES.map((text) => Buffer.from(text)),
  malform: (random) => Buffer.from(changedText(random, oneOf(random, NAMES))),
  run: async (bytes) => {
    const words = bytes.toString('latin1').split(' ');
    const terminal = new MemoryTerminal();
    const dash = words.indexOf('--');
    await dispatch([...words.slice(0, dash < 0 ? undefined : dash), '--help'], {environment: {}, terminal});
    promise(terminal.bytes.length > 0, 'help is shown');
  },
  isRefusal: isTold,
};

const NUMBERS = ['7f', '-1', '+5', 'ffffffffffffffff', '0', '9223372036854775807'];
const NUMBER_TARGET: FuzzTarget = {
  name: 'numbers',
  samples: NUMBERS.map((text) => Buffer.from(text)),
  malform: (random) => Buffer.from(changedText(random, oneOf(random, NUMBERS))),
  run: (bytes) => {
    const word = bytes.toString('latin1');
    let taken = 0;
    let refused: unknown;
    for (const check of [checkLease, checkMember, checkDecimal]) {
      try {
        check(word);
        taken++;
      } catch (error) {
        if (!isWorded(error)) throw error;
        refused = error;
      }
    }
    if (taken === 0) throw refused;
  },
  isRefusal: isWorded,
};

function checkLease(word: string): void {
  const id = parseLeaseId(word);
  promiseSame(BigInt.asIntN(64, BigInt(`0x${hex64(id)}`)), id);
}

function checkMember(word: string): void {
  const id = parseMemberId(word);
  promiseSame(parseMemberId(hex64(id)), id);
}

function checkDecimal(word: string): void {
  const value = parseDecimal(word);
  promise(Number.isInteger(value) && Math.abs(value) <= 2 ** 63, 'a number of 64 bits');
  if (Number.isSafeInteger(value)) promiseSame(parseDecimal(String(value)), value);
  formatBytes(Math.abs(value));
}

const QUOTES: FuzzTarget = {
  name: 'quotes',
  samples: ['plain', 'a"b\\', 'ä€😀\ud800', '\0\x7f\n'].map((text) => Buffer.from(text)),
  run: async (bytes) => {
    // What is printed is what Go's reader takes for the same bytes.
    promise(bytesOf(unquote(goQuoteWord(bytes))).equals(bytes), 'a quoted text is read as it was');
    promise(bytesOf(unquote(`"${hexEscape(bytes)}"`)).equals(bytes), 'a text in \\xNN is read as it was');
    const lines: string[] = [];
    const pieces = async function* () {
      const pieceBytes = 1 + Math.floor(bytes.length / 9);
      for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
    };
    for await (const {line, isComplete} of splitLines(pieces())) lines.push(isComplete ? `${line}\n` : line);
    promise(bytesOf(lines.join('')).equals(bytes), 'lines are all of the input');
  },
  isRefusal: neverRefuses,
};

const goQuoteWord = (bytes: Buffer): string => wordOf(goQuote(bytes));

export const COMMAND_TARGETS: readonly FuzzTarget[] = [
  SCRIPT,
  PROMPT,
  COMMANDS,
  COMMAND_NAMES,
  NUMBER_TARGET,
  QUOTES,
];
