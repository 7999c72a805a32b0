/**
 * What the text of a setting may say. Each parser returns the value or throws a {@link BadValue} whose message ends
 * the line "SETTING=TEXT: …": what the limit is and what to write instead. Pure.
 */

import {parseDurationMs} from './duration.ts';
import {isBindableHost, parseEndpointUrl} from './url.ts';

export class BadValue extends Error {}

/** One member of the initial cluster. `peerUrls` are sorted and not empty. */
export interface InitialMember {
  readonly name: string;
  readonly peerUrls: readonly string[];
}

export type AutoCompaction =
  | {readonly mode: 'off'}
  | {readonly mode: 'periodic'; readonly retentionMs: number}
  | {readonly mode: 'revision'; readonly retentionRevisions: number};

/** Go's spellings. */
export function parseBoolean(text: string): boolean {
  if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true;
  if (/^(0|f|F|false|FALSE|False)$/.test(text)) return false;
  throw new BadValue('must be true or false');
}

/** A whole number in decimal (as Go, also 0x… and with _ between digits). */
export function parseWhole(text: string, bounds: {min: number; max: number; unit: string}): number {
  const value = /^[+-]?(0[xX][0-9a-fA-F_]+|[0-9][0-9_]*)$/.test(text) ? toNumber(text) : Number.NaN;
  if (Number.isNaN(value)) throw new BadValue(`must be a whole number of ${bounds.unit}`);
  if (value < bounds.min || value > bounds.max) {
    throw new BadValue(`must be from ${bounds.min} to ${bounds.max} ${bounds.unit}`);
  }
  return value;
}

function toNumber(text: string): number {
  const digits = text.replace(/^[+-]/, '').replaceAll('_', '');
  return text.startsWith('-') ? -Number(digits) : Number(digits);
}

export function parseDuration(text: string): number {
  const milliseconds = parseDurationMs(text);
  if (milliseconds === undefined) throw new BadValue('must be a duration such as 500ms, 10m or 1h30m');
  if (milliseconds < 0) throw new BadValue('must not be negative');
  return milliseconds;
}

export function parseChoice<const Choice extends string>(text: string, choices: readonly Choice[]): Choice {
  const found = choices.find((choice) => choice === text);
  if (found === undefined) throw new BadValue(`must be one of ${choices.join(', ')}`);
  return found;
}

export function parseName(text: string): string {
  if (text === '') throw new BadValue('must not be empty');
  if (/[,=\p{Cc}]/u.test(text)) {
    throw new BadValue('must not contain a comma, an equals sign or a control character');
  }
  return text;
}

/** @returns the URLs, sorted as etcd keeps them, without repetitions */
export function parseUrls(text: string, use: 'listen' | 'advertise'): readonly string[] {
  const urls = text.split(',').map((url) => url.trim());
  for (const url of urls) checkUrl(url, use);
  return [...new Set(urls)].sort();
}

function checkUrl(url: string, use: 'listen' | 'advertise'): void {
  const endpoint = parseEndpointUrl(url);
  const example = use === 'listen' ? 'http://127.0.0.1:2379' : 'http://host1.example:2379';
  if (typeof endpoint === 'string') {
    const shown = url === '' ? 'an empty URL' : url;
    throw new BadValue(`${shown}: ${endpoint}; write it like ${example}`);
  }
  if (endpoint.kind === 'unix') return;
  if (use === 'listen' && !isBindableHost(endpoint.host)) {
    throw new BadValue(
      `${url}: listen on an IP address of this machine, or on 0.0.0.0 for all, not on a name`,
    );
  }
  if (use === 'advertise' && endpoint.host === '') {
    throw new BadValue(`${url}: the host is missing, so nobody could connect; write it like ${example}`);
  }
}

/** `name=url,name=url,…`; a name with several URLs appears once for each. Sorted by name. */
export function parseInitialCluster(text: string): readonly InitialMember[] {
  const urlsByName = new Map<string, string[]>();
  const nameByUrl = new Map<string, string>();
  for (const part of text.split(',')) {
    const [, name, url] = /^\s*([^=\s]+)=(.*?)\s*$/.exec(part) ?? [];
    if (name === undefined || url === undefined) {
      throw new BadValue(`'${part}' must have the form name=http://host:2380`);
    }
    checkUrl(url, 'advertise');
    const holder = nameByUrl.get(url);
    if (holder !== undefined)
      throw new BadValue(`${url} is given to ${holder} and to ${name}; each member needs its own`);
    nameByUrl.set(url, name);
    urlsByName.set(name, [...(urlsByName.get(name) ?? []), url]);
  }
  return [...urlsByName]
    .map(([name, urls]) => ({name, peerUrls: urls.sort()}))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** etcd's rule: for `periodic` a duration or bare hours, for `revision` a count; 0 switches compaction off. */
export function parseRetention(text: string, mode: 'periodic' | 'revision'): AutoCompaction {
  if (mode === 'revision') {
    const bounds = {min: 0, max: Number.MAX_SAFE_INTEGER, unit: 'revisions in mode revision'};
    const retentionRevisions = parseWhole(text, bounds);
    return retentionRevisions === 0 ? {mode: 'off'} : {mode, retentionRevisions};
  }
  const hours = /^\d+$/.test(text) ? Number(text) : undefined;
  const retentionMs = hours === undefined ? parseDurationMs(text) : hours * 3_600_000;
  if (retentionMs === undefined || retentionMs < 0 || retentionMs > Number.MAX_SAFE_INTEGER) {
    throw new BadValue('must be a number of hours or a duration such as 30m in mode periodic');
  }
  return retentionMs === 0 ? {mode: 'off'} : {mode, retentionMs};
}
