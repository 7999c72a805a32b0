/** A step of the differential script by raw gRPC: one call, or one stream with all that goes to and fro, as data. */

import type {Message} from '../../process/raw-grpc.ts';

/** What a request may depend on. */
export interface GrpcContext {
  /** The store's revision before the step. */
  readonly revision: number;
  /** Ids of the members, decimal. */
  readonly members: readonly string[];
  readonly peerUrls: readonly string[];
  /** Id of a member that does not lead (or of the only one), decimal. */
  readonly follower: string;
}

export type Request = Message | ((context: GrpcContext) => Message);

/**
 * On a stream: send; receive this many items (an event, or an answer without events); call something else meanwhile;
 * or end one's own side and receive what is left.
 */
export type Action =
  | {readonly send: Request}
  | {readonly receive: number}
  | {readonly call: string; readonly request: Request}
  | {readonly end: true};

export interface GrpcStep {
  readonly name: string;
  /** Service and method, such as `KV/Put`. */
  readonly method: string;
  readonly request?: Request;
  /** For streams in both directions. */
  readonly actions?: readonly Action[];
  /** Several watches on one stream: only the order of each one's items is compared. */
  readonly byWatch?: boolean;
  /** Only for clusters of this size. */
  readonly members?: 1 | 3;
  /** Only one member, the leader or another, is asked; otherwise the members take turns. */
  readonly on?: 'leader' | 'follower';
  readonly metadata?: Readonly<Record<string, string>>;
}

export const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

/** The end of the range of all keys with this prefix. */
export function prefixEnd(prefix: string): Buffer {
  const end = bytes(prefix);
  end[end.length - 1]++;
  return end;
}

type More = Omit<GrpcStep, 'name' | 'method' | 'request' | 'actions'>;

export function unary(name: string, method: string, request: Request, more: More = {}): GrpcStep {
  return {name, method, request, ...more};
}

export function stream(name: string, method: string, actions: readonly Action[], more: More = {}): GrpcStep {
  return {name, method, actions, ...more};
}
