/** Bounds of the client API with their reasons. Those that users may set come in as options. */

/** Renewals of one keep-alive stream worked on at a time: enough to share one confirmation of leadership. */
export const KEEP_ALIVES_IN_FLIGHT_MAX = 256;
/** A part of a snapshot stream, bytes (etcd's). */
export const SNAPSHOT_BLOB_BYTES = 32 * 1024;
/** The answer of a range beyond this is made while it is sent, bytes: smaller ones are gone sooner than asked for twice. */
export const LARGE_RANGE_BYTES = 1024 * 1024;
/** ... in parts of this size, bytes: what a slow reader costs. */
export const RANGE_ANSWER_PART_BYTES = 64 * 1024;
/** What a gRPC message may be larger than --max-request-bytes, bytes (etcd's): room for the envelope. */
export const GRPC_OVERHEAD_BYTES = 512 * 1024;
/** Election timeouts without a leader before the streams of callers that asked for one end (etcd's). */
export const LEADERLESS_TIMEOUTS_MAX = 3;
/** Headers of one HTTP/1.1 request, bytes. */
export const HTTP_HEADER_BYTES_MAX = 16 * 1024;
/** An HTTP/1.1 connection on which nothing happens is closed after this time, milliseconds. */
export const HTTP_IDLE_TIMEOUT_MS = 60_000;
/** Levels of the API that clients state and that are counted apart: what a client sends must not make metrics grow. */
export const CLIENT_VERSIONS_COUNTED_MAX = 64;
/** Responses of a watch stream that its client leaves unread before its further requests wait. */
export const WATCH_ANSWERS_UNREAD_MAX = 1_024;
