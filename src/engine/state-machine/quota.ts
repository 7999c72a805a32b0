/** What a command may add to the store at most, bytes: the proposer refuses it when the quota has less left. */

import type {RequestOp, TxnRequest} from '../types.ts';
import type {Command} from './command.ts';

/** Revision, versions and tree space of one stored key-value, bytes (etcd's estimate). */
const KEY_VALUE_OVERHEAD = 256;
/** One stored lease, bytes (etcd's estimate). */
const LEASE_OVERHEAD = 64;

/** 0: the command takes no space, and passes even when none is left. */
export function requestCost(command: Command): number {
  if (command.type === 'put') return putCost(command.request);
  if (command.type === 'txn') return txnCost(command.request);
  return command.type === 'leaseGrant' ? LEASE_OVERHEAD : 0;
}

function putCost({key, value}: {key: Uint8Array; value: Uint8Array}): number {
  return KEY_VALUE_OVERHEAD + key.length + value.length;
}

/** The dearer branch, since which one runs is not known before. */
function txnCost({success, failure}: TxnRequest): number {
  return Math.max(branchCost(success), branchCost(failure));
}

function branchCost(operations: readonly RequestOp[]): number {
  let cost = 0;
  for (const {requestPut, requestTxn} of operations) {
    if (requestPut !== undefined) cost += putCost(requestPut);
    if (requestTxn !== undefined) cost += txnCost(requestTxn);
  }
  return cost;
}
