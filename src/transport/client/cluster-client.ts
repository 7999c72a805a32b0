/** The list of members. Each answer holds the list as it is after the change. */

import type {
  MemberAddRequestInput,
  MemberAddResponse,
  MemberListRequestInput,
  MemberListResponse,
  MemberPromoteResponse,
  MemberRemoveResponse,
  MemberUpdateRequestInput,
  MemberUpdateResponse,
} from '../proto/generated/cluster.ts';
import type {CallOptions} from './call-options.ts';
import type {Calls} from './calls.ts';

export class ClusterClient {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  async memberList(request: MemberListRequestInput, options?: CallOptions): Promise<MemberListResponse> {
    const {ClusterPath, encodeMemberListRequest, decodeMemberListResponse} = await codecs();
    const bytes = encodeMemberListRequest(request);
    return decodeMemberListResponse(await this.#calls.read(ClusterPath.MemberList, bytes, options));
  }

  async memberAdd(request: MemberAddRequestInput, options?: CallOptions): Promise<MemberAddResponse> {
    const {ClusterPath, encodeMemberAddRequest, decodeMemberAddResponse} = await codecs();
    const bytes = encodeMemberAddRequest(request);
    return decodeMemberAddResponse(await this.#calls.write(ClusterPath.MemberAdd, bytes, options));
  }

  async memberRemove(id: bigint, options?: CallOptions): Promise<MemberRemoveResponse> {
    const {ClusterPath, encodeMemberRemoveRequest, decodeMemberRemoveResponse} = await codecs();
    const bytes = encodeMemberRemoveRequest({ID: id});
    return decodeMemberRemoveResponse(await this.#calls.write(ClusterPath.MemberRemove, bytes, options));
  }

  async memberUpdate(
    request: MemberUpdateRequestInput,
    options?: CallOptions,
  ): Promise<MemberUpdateResponse> {
    const {ClusterPath, encodeMemberUpdateRequest, decodeMemberUpdateResponse} = await codecs();
    const bytes = encodeMemberUpdateRequest(request);
    return decodeMemberUpdateResponse(await this.#calls.write(ClusterPath.MemberUpdate, bytes, options));
  }

  async memberPromote(id: bigint, options?: CallOptions): Promise<MemberPromoteResponse> {
    const {ClusterPath, encodeMemberPromoteRequest, decodeMemberPromoteResponse} = await codecs();
    const bytes = encodeMemberPromoteRequest({ID: id});
    return decodeMemberPromoteResponse(await this.#calls.write(ClusterPath.MemberPromote, bytes, options));
  }
}

const codecs = () => import('../proto/generated/cluster.ts');
