/**
 * HPACK's Huffman code. The code is canonical: within one length the codes count up in the order of the symbols,
 * and each length goes on where the shorter one stopped; so the lengths of Appendix B say everything.
 * Source: RFC 7541, section 5.2 and appendix B.
 */

import {assert} from '../../../engine/errors.ts';
import {ConnectionError, ErrorCode} from '../errors.ts';

const END_OF_STRING = 256;
const SYMBOLS = 257;

/** Symbols by the length of their code in bits; `a-b` is a range, numbers are byte values. */
const LENGTHS: ReadonlyArray<readonly [bits: number, symbols: string]> = [
  [5, '48-50 97 99 101 105 111 115 116'],
  [6, '32 37 45-47 51-57 61 65 95 98 100 102-104 108-110 112 114 117'],
  [7, '58 66-87 89 106 107 113 118-122'],
  [8, '38 42 44 59 88 90'],
  [10, '33 34 40 41 63'],
  [11, '39 43 124'],
  [12, '35 62'],
  [13, '0 36 64 91 93 126'],
  [14, '94 125'],
  [15, '60 96 123'],
  [19, '92 195 208'],
  [20, '128 130 131 162 184 194 224 226'],
  [21, '153 161 167 172 176 177 179 209 216 217 227 229 230'],
  [22, '129 132-134 136 146 154 156 160 163 164 169 170 173 178 181 185-187 189 190 196 198 228 232 233'],
  [23, '1 135 137-141 143 147 149-152 155 157 158 165 166 168 174 175 180 182 183 188 191 197 231 239'],
  [24, '9 142 144 145 148 159 171 206 215 225 236 237'],
  [25, '199 207 234 235'],
  [26, '192 193 200-202 205 210 213 218 219 238 240 242 243 255'],
  [27, '203 204 211 212 214 221-223 241 244-248 250-254'],
  [28, '2-8 11 12 14-21 23-31 127 220 249'],
  [30, '10 13 22 256'],
];

const codes = new Uint32Array(SYMBOLS);
const codeBits = new Uint8Array(SYMBOLS);

/** Two children of each inner node, side by side: another inner node (> 0) or a symbol as `-1 - symbol`. */
const tree = new Int16Array(2 * (SYMBOLS - 1));
let nodes = 1;

function symbolsOf(text: string): number[] {
  return text.split(' ').flatMap((part) => {
    const [first, last = first] = part.split('-').map(Number);
    return Array.from({length: last - first + 1}, (_, i) => first + i);
  });
}

function insert(symbol: number, code: number, bits: number): void {
  let node = 0;
  for (let bit = bits - 1; bit > 0; bit--) {
    const at = 2 * node + ((code >>> bit) & 1);
    if (tree[at] === 0) tree[at] = nodes++;
    node = tree[at];
  }
  tree[2 * node + (code & 1)] = -1 - symbol;
}

let nextCode = 0;
let previousBits = 0;
for (const [bits, symbols] of LENGTHS) {
  nextCode <<= bits - previousBits;
  previousBits = bits;
  for (const symbol of symbolsOf(symbols)) {
    codes[symbol] = nextCode;
    codeBits[symbol] = bits;
    insert(symbol, nextCode, bits);
    nextCode++;
  }
}
assert(nextCode === 2 ** 30 && nodes === SYMBOLS - 1, 'the Huffman code is complete');

// Decoding goes four bits at a time: for each inner node and nibble one word says where it leads. The words are found
// when they are first needed (0: not yet), since a command that runs once needs few of them.
const NODE_MASK = 0xff;
const SYMBOL_SHIFT = 8;
/** A symbol (bits 8 to 15) came out on the way. No code is shorter than five bits, so there is at most one. */
const EMITS = 1 << 16;
const FAILS = 1 << 17;
/** The bits since the last symbol are all ones and fewer than eight: the string may end here. */
const MAY_END = 1 << 18;
const steps = new Uint32Array((SYMBOLS - 1) * 16);

/** Nodes reached from the root by up to seven ones: legal padding. */
const paddingNodes = new Set<number>([0]);
for (let node = 0, i = 0; i < 7; i++) {
  node = tree[2 * node + 1];
  paddingNodes.add(node);
}

function findStep(index: number): number {
  const word = step(index >>> 4, index & 0xf);
  assert(word !== 0, 'only a step to the root has nothing else to say, and that may end');
  steps[index] = word;
  return word;
}

function step(from: number, nibble: number): number {
  let node = from;
  let word = 0;
  for (let bit = 3; bit >= 0; bit--) {
    const next = tree[2 * node + ((nibble >>> bit) & 1)];
    if (next >= 0) {
      node = next;
      continue;
    }
    const symbol = -1 - next;
    if (symbol === END_OF_STRING) return FAILS;
    word = EMITS | (symbol << SYMBOL_SHIFT);
    node = 0;
  }
  return word | node | (paddingNodes.has(node) ? MAY_END : 0);
}

let scratch = Buffer.allocUnsafeSlow(4096);

/**
 * Decodes `source[start, end)` into latin1 characters.
 * @throws ConnectionError COMPRESSION_ERROR for the end-of-string symbol and for padding that is not its prefix
 */
export function huffmanDecode(source: Uint8Array, start: number, end: number): string {
  const longest = Math.ceil(((end - start) * 8) / 5);
  if (scratch.length < longest) scratch = Buffer.allocUnsafeSlow(longest);
  const out = scratch;
  let length = 0;
  let word = MAY_END;
  for (let i = start; i < end; i++) {
    const byte = source[i];
    let index = (word & NODE_MASK) * 16 + (byte >>> 4);
    word = steps[index] || findStep(index);
    if ((word & (EMITS | FAILS)) !== 0) {
      if ((word & FAILS) !== 0) break;
      out[length++] = (word >>> SYMBOL_SHIFT) & 0xff;
    }
    index = (word & NODE_MASK) * 16 + (byte & 0xf);
    word = steps[index] || findStep(index);
    if ((word & (EMITS | FAILS)) !== 0) {
      if ((word & FAILS) !== 0) break;
      out[length++] = (word >>> SYMBOL_SHIFT) & 0xff;
    }
  }
  if ((word & MAY_END) === 0) {
    throw new ConnectionError(ErrorCode.compressionError, 'a Huffman string is malformed or badly padded');
  }
  return out.toString('latin1', 0, length);
}

/** Bytes that `text` (latin1) takes when encoded. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += codeBits[text.charCodeAt(i) & 0xff];
  return (bits + 7) >>> 3;
}

/** Encodes `text` (latin1) into `target` from `offset`. @returns the offset behind it */
export function huffmanEncode(text: string, target: Uint8Array, offset: number): number {
  let position = offset;
  let pending = 0;
  let pendingBits = 0;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i) & 0xff;
    let bits = codeBits[symbol];
    let code = codes[symbol];
    // At most 7 + 30 bits would not fit into 32: long codes go in two parts.
    if (bits > 16) {
      bits -= 16;
      pending = (pending << bits) | (code >>> 16);
      pendingBits += bits;
      for (; pendingBits >= 8; pendingBits -= 8) target[position++] = (pending >>> (pendingBits - 8)) & 0xff;
      code &= 0xffff;
      bits = 16;
    }
    pending = (pending << bits) | code;
    pendingBits += bits;
    for (; pendingBits >= 8; pendingBits -= 8) target[position++] = (pending >>> (pendingBits - 8)) & 0xff;
  }
  if (pendingBits > 0) target[position++] = ((pending << (8 - pendingBits)) | (0xff >>> pendingBits)) & 0xff;
  return position;
}
