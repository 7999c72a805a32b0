/** etcdserverpb.Cluster. Headers of this service carry no revision, as etcd's do not. */

import {parseEndpointUrl} from '../../../config/url.ts';
import {EngineError} from '../../../engine/errors.ts';
import type {Answered} from '../../../engine/server/server.ts';
import type {Header, Member} from '../../../engine/types.ts';
import type {GrpcMethod} from '../../http2/grpc-method.ts';
import {
  ClusterPath,
  decodeMemberAddRequest,
  decodeMemberListRequest,
  decodeMemberPromoteRequest,
  decodeMemberRemoveRequest,
  decodeMemberUpdateRequest,
  encodeMemberAddResponse,
  encodeMemberListResponse,
  encodeMemberPromoteResponse,
  encodeMemberRemoveResponse,
  encodeMemberUpdateResponse,
  type MemberInput,
} from '../../proto/generated/cluster.ts';
import {refuse} from '../error-status.ts';
import type {ServiceContext} from './service.ts';
import {unary} from './unary.ts';

export function clusterMethods({server}: ServiceContext): readonly GrpcMethod[] {
  return [
    unary(ClusterPath.MemberAdd, decodeMemberAddRequest, encodeMemberAddResponse, ({peerURLs, isLearner}) => {
      checkPeerUrls(peerURLs);
      return server.memberAdd({peerURLs, isLearner}).then(({header, result}) => {
        const {member, members} = result;
        return {header: memberHeader(header), member: toWire(member), members: members.map(toWire)};
      }, refuse);
    }),
    unary(ClusterPath.MemberRemove, decodeMemberRemoveRequest, encodeMemberRemoveResponse, ({ID}) =>
      server.memberRemove(ID).then(memberList, refuse),
    ),
    unary(
      ClusterPath.MemberUpdate,
      decodeMemberUpdateRequest,
      encodeMemberUpdateResponse,
      ({ID, peerURLs}) => {
        checkPeerUrls(peerURLs);
        return server.memberUpdate({id: ID, peerURLs}).then(memberList, refuse);
      },
    ),
    unary(ClusterPath.MemberPromote, decodeMemberPromoteRequest, encodeMemberPromoteResponse, ({ID}) =>
      server.memberPromote(ID).then(memberList, refuse),
    ),
    unary(ClusterPath.MemberList, decodeMemberListRequest, encodeMemberListResponse, ({linearizable}) =>
      server.members({linearizable}).then(memberList, refuse),
    ),
  ];
}

function checkPeerUrls(urls: readonly string[]): void {
  const isBad = urls.length === 0 || urls.some((url) => typeof parseEndpointUrl(url) === 'string');
  if (isBad) throw new EngineError({code: 'memberUrlsBad', urls});
}

function memberList({header, result}: Answered<readonly Member[]>) {
  return {header: memberHeader(header), members: result.map(toWire)};
}

function memberHeader({clusterId, memberId, raftTerm}: Header) {
  return {clusterId, memberId, raftTerm};
}

function toWire({id, name, peerURLs, clientURLs, isLearner}: Member): MemberInput {
  return {ID: id, name, peerURLs, clientURLs, isLearner};
}
