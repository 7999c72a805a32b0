/** Keys: range, put, delete, transaction, compaction. Requests take etcd's fields; what is left out is zero. */

import type {
  CompactionRequestInput,
  CompactionResponse,
  DeleteRangeRequestInput,
  DeleteRangeResponse,
  PutRequestInput,
  PutResponse,
  RangeRequestInput,
  RangeResponse,
  TxnRequestInput,
  TxnResponse,
} from '../proto/generated/kv.ts';
import type {CallOptions} from './call-options.ts';
import type {Calls} from './calls.ts';

export class KvClient {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  async range(request: RangeRequestInput, options?: CallOptions): Promise<RangeResponse> {
    const {KVPath, encodeRangeRequest, decodeRangeResponse} = await codecs();
    return decodeRangeResponse(await this.#calls.read(KVPath.Range, encodeRangeRequest(request), options));
  }

  /** The same range in parts; the last one holds the count. `Unimplemented` before etcd 3.7. */
  async *rangeStream(request: RangeRequestInput, options?: CallOptions): AsyncGenerator<RangeResponse, void> {
    const {KVPath, encodeRangeRequest, decodeRangeStreamResponse} = await codecs();
    for await (const part of this.#calls.serverStream(
      KVPath.RangeStream,
      encodeRangeRequest(request),
      options,
    )) {
      const {rangeResponse} = decodeRangeStreamResponse(part);
      if (rangeResponse !== undefined) yield rangeResponse;
    }
  }

  async put(request: PutRequestInput, options?: CallOptions): Promise<PutResponse> {
    const {KVPath, encodePutRequest, decodePutResponse} = await codecs();
    return decodePutResponse(await this.#calls.write(KVPath.Put, encodePutRequest(request), options));
  }

  async deleteRange(request: DeleteRangeRequestInput, options?: CallOptions): Promise<DeleteRangeResponse> {
    const {KVPath, encodeDeleteRangeRequest, decodeDeleteRangeResponse} = await codecs();
    const bytes = encodeDeleteRangeRequest(request);
    return decodeDeleteRangeResponse(await this.#calls.write(KVPath.DeleteRange, bytes, options));
  }

  async txn(request: TxnRequestInput, options?: CallOptions): Promise<TxnResponse> {
    const {KVPath, encodeTxnRequest, decodeTxnResponse} = await codecs();
    return decodeTxnResponse(await this.#calls.write(KVPath.Txn, encodeTxnRequest(request), options));
  }

  async compact(request: CompactionRequestInput, options?: CallOptions): Promise<CompactionResponse> {
    const {KVPath, encodeCompactionRequest, decodeCompactionResponse} = await codecs();
    const bytes = encodeCompactionRequest(request);
    return decodeCompactionResponse(await this.#calls.write(KVPath.Compact, bytes, options));
  }
}

const codecs = () => import('../proto/generated/kv.ts');
