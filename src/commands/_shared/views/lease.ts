/** Views of what the lease calls answer. Their JSON is that of Go's client: the header's fields stand beside the rest. */

import type {
  LeaseGrantResponse,
  LeaseKeepAliveResponse,
  LeaseLeasesResponse,
  LeaseRevokeResponse,
  LeaseTimeToLiveResponse,
} from '../../../transport/proto/generated/lease.ts';
import type {View} from '../printer.ts';
import {hexId} from '../units.ts';
import {headerFields, headerJson, headerOnlyView} from './header.ts';

export const leaseGrantView: View<LeaseGrantResponse> = {
  simple: (response, lines) => lines.text(`lease ${hexId(response.ID)} granted with TTL(${response.TTL}s)`),
  fields: (response, lines) => {
    headerFields(response.header, lines);
    lines.field('ID', response.ID);
    lines.field('TTL', response.TTL);
  },
  json: ({header, ID, TTL, error}) => ({...headerJson(header), ID, TTL, Error: error}),
};

export function leaseRevokeView(id: bigint): View<LeaseRevokeResponse> {
  return headerOnlyView({
    type: 'etcdserverpb.LeaseRevokeResponse',
    line: () => `lease ${hexId(id)} revoked`,
    encode: async (response) => {
      const {encodeLeaseRevokeResponse} = await import('../../../transport/proto/generated/lease.ts');
      return encodeLeaseRevokeResponse(response);
    },
  });
}

export const leaseKeepAliveView: View<LeaseKeepAliveResponse> = {
  simple: (response, lines) => lines.text(`lease ${hexId(response.ID)} keepalived with TTL(${response.TTL})`),
  fields: (response, lines) => {
    headerFields(response.header, lines);
    lines.field('ID', response.ID);
    lines.field('TTL', response.TTL);
  },
  json: ({header, ID, TTL}) => ({...headerJson(header), ID, TTL}),
};

export function leaseTimeToLiveView(options: {readonly keys: boolean}): View<LeaseTimeToLiveResponse> {
  return {
    simple: (response, lines) => {
      if (response.grantedTTL === 0 && response.TTL === -1) {
        lines.text(`lease ${hexId(response.ID)} already expired`);
        return;
      }
      const keys = Buffer.from(
        response.keys.map((key) => Buffer.from(key).toString('latin1')).join(' '),
        'latin1',
      );
      const rest = `granted with TTL(${response.grantedTTL}s), remaining(${response.TTL}s)`;
      const line = Buffer.from(`lease ${hexId(response.ID)} ${rest}`);
      if (!options.keys) lines.line(line);
      else lines.line(Buffer.concat([line, Buffer.from(', attached keys(['), keys, Buffer.from('])')]));
    },
    fields: (response, lines) => {
      headerFields(response.header, lines);
      lines.field('ID', response.ID);
      lines.field('TTL', response.TTL);
      lines.field('GrantedTTL', response.grantedTTL);
      for (const key of response.keys) lines.quoted('Key', key);
    },
    json: ({header, ID, TTL, grantedTTL, keys}) => ({
      ...headerJson(header),
      id: ID,
      ttl: TTL,
      'granted-ttl': grantedTTL,
      keys: keys.length === 0 ? null : keys,
    }),
  };
}

export const leaseListView: View<LeaseLeasesResponse> = {
  simple: (response, lines) => {
    lines.text(`found ${response.leases.length} leases`);
    for (const lease of response.leases) lines.text(hexId(lease.ID));
  },
  fields: (response, lines) => {
    headerFields(response.header, lines);
    for (const lease of response.leases) lines.field('ID', lease.ID);
  },
  json: ({header, leases}) => ({...headerJson(header), leases: leases.map((lease) => ({id: lease.ID}))}),
};
