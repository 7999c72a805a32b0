/** HPACK's static table: index 1 to 61. Source: RFC 7541, appendix A. */

import {HeaderField} from './header-field.ts';

const ROWS: ReadonlyArray<readonly [name: string, value?: string]> = [
  [':authority'],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  [':status', '200'],
  [':status', '204'],
  [':status', '206'],
  [':status', '304'],
  [':status', '400'],
  [':status', '404'],
  [':status', '500'],
  ['accept-charset'],
  ['accept-encoding', 'gzip, deflate'],
  ['accept-language'],
  ['accept-ranges'],
  ['accept'],
  ['access-control-allow-origin'],
  ['age'],
  ['allow'],
  ['authorization'],
  ['cache-control'],
  ['content-disposition'],
  ['content-encoding'],
  ['content-language'],
  ['content-length'],
  ['content-location'],
  ['content-range'],
  ['content-type'],
  ['cookie'],
  ['date'],
  ['etag'],
  ['expect'],
  ['expires'],
  ['from'],
  ['host'],
  ['if-match'],
  ['if-modified-since'],
  ['if-none-match'],
  ['if-range'],
  ['if-unmodified-since'],
  ['last-modified'],
  ['link'],
  ['location'],
  ['max-forwards'],
  ['proxy-authenticate'],
  ['proxy-authorization'],
  ['range'],
  ['referer'],
  ['refresh'],
  ['retry-after'],
  ['server'],
  ['set-cookie'],
  ['strict-transport-security'],
  ['transfer-encoding'],
  ['user-agent'],
  ['vary'],
  ['via'],
  ['www-authenticate'],
];

/** By index; 0 is unused. */
export const STATIC_TABLE: readonly HeaderField[] = [
  new HeaderField('', ''),
  ...ROWS.map(([name, value]) => new HeaderField(name, value ?? '')),
];

export const STATIC_TABLE_LAST = ROWS.length;

const byName = new Map<string, number>();
const byField = new Map<string, number>();
for (let index = STATIC_TABLE_LAST; index > 0; index--) {
  const {name, value} = STATIC_TABLE[index];
  byName.set(name, index);
  byField.set(`${name}\0${value}`, index);
}

/** The lowest index with this name, 0: none. */
export function staticIndexOfName(name: string): number {
  return byName.get(name) ?? 0;
}

/** The index of exactly this field, 0: none. */
export function staticIndexOfField(name: string, value: string): number {
  return byField.get(`${name}\0${value}`) ?? 0;
}
