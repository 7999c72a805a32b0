/** Views of one answer of a watch. */

import {EventType} from '../../../engine/types.ts';
import type {Event} from '../../../transport/proto/generated/mvcc.ts';
import type {WatchResponse} from '../../../transport/proto/generated/watch.ts';
import {messageJson} from '../lazy-message-json.ts';
import type {Lines, View} from '../printer.ts';
import {headerFields} from './header.ts';
import {keyValueFields, keyValueLines} from './key-value.ts';

const EMPTY = new Uint8Array(0);

export function eventTypeName(event: Event): 'PUT' | 'DELETE' {
  return event.type === EventType.delete ? 'DELETE' : 'PUT';
}

/** A progress notification: a revision and nothing else. */
export function isProgress(response: WatchResponse): boolean {
  return response.events.length === 0 && !response.created && !response.canceled;
}

export const watchView: View<WatchResponse> = {
  simple: (response, lines) => {
    for (const event of response.events) eventLines(event, lines);
  },
  fields: (response, lines) => {
    headerFields(response.header, lines);
    for (const event of response.events) {
      lines.field('Type', eventTypeName(event));
      if (event.prevKv !== undefined) keyValueFields(event.prevKv, 'Prev', lines);
      if (event.kv !== undefined) keyValueFields(event.kv, '', lines);
    }
  },
  json: async (response) => ({
    Header: await messageJson('etcdserverpb.ResponseHeader', response.header ?? {}),
    Events: await Promise.all(response.events.map((event) => messageJson('mvccpb.Event', event))),
    CompactRevision: response.compactRevision,
    Canceled: response.canceled,
    Created: response.created,
    CancelReason: response.cancelReason,
  }),
  protobuf: async (response) => {
    const {encodeWatchResponse} = await import('../../../transport/proto/generated/watch.ts');
    const {header, events, compactRevision, canceled, created} = response;
    return encodeWatchResponse({header, events, compactRevision, canceled, created});
  },
};

function eventLines(event: Event, lines: Lines): void {
  lines.text(eventTypeName(event));
  if (event.prevKv !== undefined) keyValueLines(event.prevKv, lines);
  lines.bytes(event.kv?.key ?? EMPTY);
  lines.bytes(event.kv?.value ?? EMPTY);
}
