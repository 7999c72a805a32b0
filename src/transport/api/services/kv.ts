/** etcdserverpb.KV. Decoded requests are the engine's own shapes; answers get their header and go out. */

import {EngineError} from '../../../engine/errors.ts';
import type {Answered} from '../../../engine/server/server.ts';
import {
  type DeleteRangeResult,
  type PutResult,
  type RangeRequest,
  type RangeResult,
  type ResponseOp,
  SortOrder,
  SortTarget,
  type TxnResult,
} from '../../../engine/types.ts';
import type {GrpcMethod} from '../../http2/grpc-method.ts';
import {GrpcError, GrpcStatus} from '../../http2/grpc-status.ts';
import {
  decodeCompactionRequest,
  decodeDeleteRangeRequest,
  decodePutRequest,
  decodeRangeRequest,
  decodeTxnRequest,
  encodeCompactionResponse,
  encodeDeleteRangeResponse,
  encodePutResponse,
  encodeRangeResponse,
  encodeRangeStreamResponse,
  encodeTxnResponse,
  KVPath,
  type ResponseOpInput,
} from '../../proto/generated/kv.ts';
import {refuse, toGrpcError} from '../error-status.ts';
import {checkDeleteRange, checkPut, checkRange, checkTxn} from './check-kv.ts';
import {type RangeAnswer, rangeParts} from './range-parts.ts';
import type {ServiceContext} from './service.ts';
import {unary} from './unary.ts';

export function kvMethods(context: ServiceContext): readonly GrpcMethod[] {
  const {server, txnOperationsMax} = context;
  return [
    {
      ...unary(KVPath.Range, decodeRangeRequest, encodeRangeAnswer, (request) => {
        checkReader(context, request);
        checkRange(request);
        return server.range(request).then(withHeader<RangeResult>, refuse);
      }),
      encodeParts: rangeParts,
    },
    unary(KVPath.Put, decodePutRequest, encodePutResponse, (request) => {
      checkPut(request);
      return server.put(request).then(putResponse, refuse);
    }),
    unary(KVPath.DeleteRange, decodeDeleteRangeRequest, encodeDeleteRangeResponse, (request) => {
      checkDeleteRange(request);
      return server.deleteRange(request).then(withHeader<DeleteRangeResult>, refuse);
    }),
    unary(KVPath.Txn, decodeTxnRequest, encodeTxnResponse, (request) => {
      checkTxn(request, txnOperationsMax);
      return server.txn(request).then(txnResponse, refuse);
    }),
    unary(KVPath.Compact, decodeCompactionRequest, encodeCompactionResponse, ({revision, physical}, call) => {
      const signal = physical ? call.signal : undefined;
      return server.compact({revision, physical}, signal).then(({header}) => ({header}), refuse);
    }),
    {
      kind: 'serverStream',
      path: KVPath.RangeStream,
      decode: decodeRangeRequest,
      encode: (part: Answered<RangeResult>) => encodeRangeStreamResponse({rangeResponse: withHeader(part)}),
      handle: (request: RangeRequest) => streamRange(context, request),
    },
  ];
}

/** A learner may answer from its own store, and does nothing else. */
function checkReader({server}: ServiceContext, {serializable}: RangeRequest): void {
  if (!serializable && server.isLearner()) throw new EngineError({code: 'notSupportedForLearner'});
}

async function* streamRange(
  context: ServiceContext,
  request: RangeRequest,
): AsyncGenerator<Answered<RangeResult>, void> {
  try {
    checkRange(request);
    checkStreamable(request);
    yield* context.server.rangeStream(request);
  } catch (error) {
    throw toGrpcError(error);
  }
}

/** Parts come in key order as they are read, so that only what needs no second look can be asked for. */
function checkStreamable(request: RangeRequest): void {
  const {sortOrder, sortTarget} = request;
  const isInKeyOrder = sortTarget === SortTarget.key && sortOrder !== SortOrder.descend;
  if (!isInKeyOrder && sortOrder !== SortOrder.none) {
    throw new GrpcError(GrpcStatus.unimplemented, 'RangeStream does not support custom sort orders');
  }
  const {minModRevision, maxModRevision, minCreateRevision, maxCreateRevision} = request;
  if (minModRevision !== 0 || maxModRevision !== 0 || minCreateRevision !== 0 || maxCreateRevision !== 0) {
    throw new GrpcError(GrpcStatus.unimplemented, 'RangeStream does not support revision filters');
  }
}

/** Reading what an answer has left in the store may fail as reading does. */
function encodeRangeAnswer(answer: RangeAnswer): Uint8Array {
  try {
    return encodeRangeResponse(answer);
  } catch (error) {
    throw toGrpcError(error);
  }
}

// ---- Answers ------------------------------------------------------------------------------------------------

function withHeader<Result extends RangeResult | DeleteRangeResult>({header, result}: Answered<Result>) {
  return {header, ...result};
}

function putResponse({header, result}: Answered<PutResult>) {
  return {header, prevKv: result.prevKv};
}

function txnResponse({header, result}: Answered<TxnResult>) {
  const isWrite = writes(result.responses);
  const progress = {revision: isWrite ? header.revision - 1 : header.revision, hasWritten: false};
  return {
    header,
    succeeded: result.succeeded,
    responses: result.responses.map((op) => opResponse(op, progress)),
  };
}

/** How far the operations of a transaction have come: each tells the revision that it saw or made. */
interface TxnProgress {
  /** Before the transaction. */
  readonly revision: number;
  hasWritten: boolean;
}

function writes(responses: readonly ResponseOp[]): boolean {
  return responses.some(
    ({responsePut, responseDeleteRange, responseTxn}) =>
      responsePut !== undefined ||
      (responseDeleteRange !== undefined && responseDeleteRange.deleted > 0) ||
      (responseTxn !== undefined && writes(responseTxn.responses)),
  );
}

/** Inner headers hold a revision and nothing else; that of a nested transaction is empty, as etcd has it. */
function opResponse(op: ResponseOp, progress: TxnProgress): ResponseOpInput {
  const {responseRange, responsePut, responseDeleteRange, responseTxn} = op;
  if (responseRange !== undefined) return {responseRange: {header: innerHeader(progress), ...responseRange}};
  if (responsePut !== undefined) {
    progress.hasWritten = true;
    return {responsePut: {header: innerHeader(progress), prevKv: responsePut.prevKv}};
  }
  if (responseDeleteRange !== undefined) {
    if (responseDeleteRange.deleted > 0) progress.hasWritten = true;
    return {responseDeleteRange: {header: innerHeader(progress), ...responseDeleteRange}};
  }
  const {succeeded, responses} = responseTxn!;
  return {
    responseTxn: {header: {}, succeeded, responses: responses.map((inner) => opResponse(inner, progress))},
  };
}

function innerHeader({revision, hasWritten}: TxnProgress) {
  return {revision: hasWritten ? revision + 1 : revision};
}
