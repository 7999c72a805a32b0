/** Views of what range, put, delete and transactions answer. */

import type {
  DeleteRangeResponse,
  PutResponse,
  RangeResponse,
  ResponseOp,
  TxnResponse,
} from '../../../transport/proto/generated/kv.ts';
import type {KeyValue} from '../../../transport/proto/generated/mvcc.ts';
import {messageJson} from '../lazy-message-json.ts';
import type {Lines, View} from '../printer.ts';
import {headerFields} from './header.ts';

export interface RangeLooks {
  readonly valuesOnly: boolean;
}

export function keyValueLines(kv: KeyValue, lines: Lines): void {
  lines.bytes(kv.key);
  lines.bytes(kv.value);
}

export function keyValueFields(kv: KeyValue, prefix: '' | 'Prev', lines: Lines): void {
  lines.quoted(`${prefix}Key`, kv.key);
  lines.field(`${prefix}CreateRevision`, kv.createRevision);
  lines.field(`${prefix}ModRevision`, kv.modRevision);
  lines.field(`${prefix}Version`, kv.version);
  lines.quoted(`${prefix}Value`, kv.value);
  lines.field(`${prefix}Lease`, kv.lease);
}

export function rangeView({valuesOnly}: RangeLooks): View<RangeResponse> {
  return {
    simple: (response, lines) => {
      for (const kv of response.kvs) valuesOnly ? lines.bytes(kv.value) : keyValueLines(kv, lines);
    },
    fields: rangeFields,
    json: (response) => messageJson('etcdserverpb.RangeResponse', response),
    protobuf: async (response) => {
      const {encodeRangeResponse} = await import('../../../transport/proto/generated/kv.ts');
      return encodeRangeResponse(response);
    },
  };
}

export const putView: View<PutResponse> = {
  simple: (response, lines) => {
    lines.text('OK');
    if (response.prevKv !== undefined) keyValueLines(response.prevKv, lines);
  },
  fields: (response, lines) => {
    headerFields(response.header, lines);
    if (response.prevKv !== undefined) keyValueFields(response.prevKv, 'Prev', lines);
  },
  json: (response) => messageJson('etcdserverpb.PutResponse', response),
  protobuf: async (response) => {
    const {encodePutResponse} = await import('../../../transport/proto/generated/kv.ts');
    return encodePutResponse(response);
  },
};

export const deleteView: View<DeleteRangeResponse> = {
  simple: (response, lines) => {
    lines.text(String(response.deleted));
    for (const kv of response.prevKvs) keyValueLines(kv, lines);
  },
  fields: (response, lines) => {
    headerFields(response.header, lines);
    lines.field('Deleted', response.deleted);
    for (const kv of response.prevKvs) keyValueFields(kv, 'Prev', lines);
  },
  json: (response) => messageJson('etcdserverpb.DeleteRangeResponse', response),
  protobuf: async (response) => {
    const {encodeDeleteRangeResponse} = await import('../../../transport/proto/generated/kv.ts');
    return encodeDeleteRangeResponse(response);
  },
};

export const txnView: View<TxnResponse> = {
  simple: (response, lines) => {
    lines.text(response.succeeded ? 'SUCCESS' : 'FAILURE');
    for (const part of response.responses) {
      lines.text('');
      partView(part, (view, inner) => view.simple(inner as never, lines));
    }
  },
  fields: (response, lines) => {
    headerFields(response.header, lines);
    lines.field('Succeeded', response.succeeded);
    for (const part of response.responses)
      partView(part, (view, inner) => view.fields?.(inner as never, lines));
  },
  json: (response) => messageJson('etcdserverpb.TxnResponse', response),
  protobuf: async (response) => {
    const {encodeTxnResponse} = await import('../../../transport/proto/generated/kv.ts');
    return encodeTxnResponse(response);
  },
};

function rangeFields(response: RangeResponse, lines: Lines): void {
  headerFields(response.header, lines);
  for (const kv of response.kvs) keyValueFields(kv, '', lines);
  lines.field('More', response.more);
  lines.field('Count', response.count);
}

function partView(part: ResponseOp, show: (view: View<never>, inner: unknown) => void): void {
  const range = rangeView({valuesOnly: false});
  if (part.responsePut !== undefined) show(putView as View<never>, part.responsePut);
  if (part.responseRange !== undefined) show(range as View<never>, part.responseRange);
  if (part.responseDeleteRange !== undefined) show(deleteView as View<never>, part.responseDeleteRange);
  if (part.responseTxn !== undefined) show(txnView as View<never>, part.responseTxn);
}
