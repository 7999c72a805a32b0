/** What every answer says of where it comes from. */

import type {ResponseHeader} from '../../../transport/proto/generated/header.ts';
import type {JsonValue} from '../go-json.ts';
import {unlessEmpty} from '../go-json.ts';
import {messageJson} from '../lazy-message-json.ts';
import type {Lines, View} from '../printer.ts';

/** etcd's own server leaves the header out of some answers (alarm lists, defragmentation). */
export function headerFields(header: ResponseHeader | undefined, lines: Lines): void {
  if (header === undefined) return;
  lines.field('ClusterID', header.clusterId);
  lines.field('MemberID', header.memberId);
  if (header.revision > 0) lines.field('Revision', header.revision);
  lines.field('RaftTerm', header.raftTerm);
}

/** The header's fields as Go's encoder prints them where the header is embedded. */
export function headerJson(header: ResponseHeader | undefined): Record<string, JsonValue> {
  return {
    cluster_id: unlessEmpty(header?.clusterId ?? 0n),
    member_id: unlessEmpty(header?.memberId ?? 0n),
    revision: unlessEmpty(header?.revision ?? 0),
    raft_term: unlessEmpty(header?.raftTerm ?? 0),
  };
}

/** For answers that hold nothing but a header. @param line what `simple` prints */
export function headerOnlyView<Result extends {readonly header?: ResponseHeader | undefined}>(options: {
  readonly type: string;
  readonly line: (result: Result) => string;
  readonly encode: (result: Result) => Promise<Uint8Array>;
}): View<Result> {
  return {
    simple: (result, lines) => lines.text(options.line(result)),
    fields: (result, lines) => headerFields(result.header, lines),
    json: (result) => messageJson(options.type, result),
    protobuf: options.encode,
  };
}
