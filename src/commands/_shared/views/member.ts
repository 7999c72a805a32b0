/** Views of the member list and of changes to it. */

import {hex64} from '../../../engine/lib/hex64.ts';
import type {
  Member,
  MemberAddResponse,
  MemberListResponse,
  MemberPromoteResponse,
  MemberRemoveResponse,
  MemberUpdateResponse,
} from '../../../transport/proto/generated/cluster.ts';
import type {JsonValue} from '../go-json.ts';
import {goQuoteText} from '../go-quote.ts';
import {messageJson} from '../lazy-message-json.ts';
import type {Lines, Looks, View} from '../printer.ts';
import {spacedHexId} from '../units.ts';
import {headerFields} from './header.ts';

/** `member add`'s answer with what its text must repeat. */
export interface AddedMember {
  readonly name: string;
  readonly response: MemberAddResponse;
}

const LIST = 'etcdserverpb.MemberListResponse';

function memberRow(member: Member): readonly string[] {
  return [
    hex64(member.ID),
    member.name === '' ? 'unstarted' : 'started',
    member.name,
    member.peerURLs.join(','),
    member.clientURLs.join(','),
    String(member.isLearner),
  ];
}

export const memberListView: View<MemberListResponse> = {
  simple: (response, lines) => {
    for (const member of response.members) lines.text(memberRow(member).join(', '));
  },
  fields: (response, lines) => {
    headerFields(response.header, lines);
    for (const member of response.members) memberFields(member, lines);
  },
  json: (response, looks) => memberJson(LIST, response, looks),
  protobuf: async (response) => {
    const {encodeMemberListResponse} = await import('../../../transport/proto/generated/cluster.ts');
    return encodeMemberListResponse(response);
  },
  table: (response) => ({
    head: ['ID', 'Status', 'Name', 'Peer Addrs', 'Client Addrs', 'Is Learner'],
    rows: response.members.map(memberRow),
  }),
};

export const memberAddView: View<AddedMember> = {
  simple: ({name, response}, lines) => {
    const {member, header} = response;
    const id = member?.ID ?? 0n;
    const role = member?.isLearner === true ? 'added as learner to' : 'added to';
    lines.text(`Member ${spacedHexId(id)} ${role} cluster ${spacedHexId(header?.clusterId ?? 0n)}`);
    lines.text('');
    const cluster = response.members.flatMap((other) =>
      other.peerURLs.map((url) => `${other.ID === id ? name : other.name}=${url}`),
    );
    lines.text(`ETCD_NAME=${goQuoteText(name)}`);
    lines.text(`ETCD_INITIAL_CLUSTER=${goQuoteText(cluster.join(','))}`);
    lines.text(`ETCD_INITIAL_ADVERTISE_PEER_URLS=${goQuoteText(member?.peerURLs.join(',') ?? '')}`);
    lines.text('ETCD_INITIAL_CLUSTER_STATE="existing"');
  },
  json: ({response}, looks) => memberJson('etcdserverpb.MemberAddResponse', response, looks),
  protobuf: async ({response}) => {
    const {encodeMemberAddResponse} = await import('../../../transport/proto/generated/cluster.ts');
    return encodeMemberAddResponse(response);
  },
};

type Changed = MemberRemoveResponse | MemberUpdateResponse | MemberPromoteResponse;

const CHANGES = {
  removed: {type: 'etcdserverpb.MemberRemoveResponse', text: 'removed from'},
  updated: {type: 'etcdserverpb.MemberUpdateResponse', text: 'updated in'},
  promoted: {type: 'etcdserverpb.MemberPromoteResponse', text: 'promoted in'},
} as const;

export function memberChangeView(id: bigint, change: keyof typeof CHANGES): View<Changed> {
  const {type, text} = CHANGES[change];
  return {
    simple: (response, lines) => {
      lines.text(
        `Member ${spacedHexId(id)} ${text} cluster ${spacedHexId(response.header?.clusterId ?? 0n)}`,
      );
    },
    fields: (response, lines) => headerFields(response.header, lines),
    json: (response, looks) => memberJson(type, response, looks),
    protobuf: async (response) => {
      const cluster = await import('../../../transport/proto/generated/cluster.ts');
      if (change === 'removed') return cluster.encodeMemberRemoveResponse(response);
      if (change === 'updated') return cluster.encodeMemberUpdateResponse(response);
      return cluster.encodeMemberPromoteResponse(response);
    },
  };
}

function memberFields(member: Member, lines: Lines): void {
  lines.field('ID', member.ID);
  lines.field('Name', goQuoteText(member.name));
  for (const url of member.peerURLs) lines.field('PeerURL', goQuoteText(url));
  for (const url of member.clientURLs) lines.field('ClientURL', goQuoteText(url));
  lines.field('IsLearner', member.isLearner);
  lines.text('');
}

/** With `--hex` the ids of header and members are hex strings. */
async function memberJson(type: string, response: object, looks: Looks): Promise<JsonValue> {
  const json = await messageJson(type, response);
  return looks.hex ? withHexIds(json) : json;
}

const ID_KEYS = new Set(['cluster_id', 'member_id', 'ID']);

function withHexIds(json: JsonValue): JsonValue {
  if (Array.isArray(json)) return json.map(withHexIds);
  if (typeof json !== 'object' || json === null || json instanceof Uint8Array) return json;
  return Object.fromEntries(
    Object.entries(json).map(([key, value]) => {
      const isId = ID_KEYS.has(key) && typeof value === 'bigint';
      return [key, isId ? hex64(value) : withHexIds(value)];
    }),
  );
}
