/** Every bound of the client port's HTTP/2 with its reason. Bounds that users may set come in as options. */

const KIB = 1024;
const MIB = 1024 * KIB;

// ---- What we tell peers -------------------------------------------------------------------------------------

/** Concurrent streams advertised: clients of etcd open one stream per watch context and take small values badly. */
export const CONCURRENT_STREAMS_MAX = 1_000_000;
/** Receive window of a new stream, bytes: a whole request of usual size without one WINDOW_UPDATE. */
export const STREAM_WINDOW_BYTES = 1 * MIB;
/** Receive window of a new connection, bytes: a few large requests side by side. */
export const CONNECTION_WINDOW_BYTES = 4 * MIB;
/** How far auto-tuning opens either window, bytes: a link of 1 Gbit/s and 128 ms is full with it. */
export const WINDOW_BYTES_MAX = 16 * MIB;
/** Payload of one frame that we accept, bytes: HTTP/2's least; DATA is passed on in pieces, so larger gains nothing. */
export const FRAME_BYTES_MAX = 16 * KIB;
/** A decoded header list by HPACK's count (32 bytes per field extra): a large token, and room. */
export const HEADER_LIST_BYTES_MAX = 64 * KIB;
/** Our HPACK decoding table, bytes: HTTP/2's default. */
export const HEADER_TABLE_BYTES = 4 * KIB;

// ---- Floods -------------------------------------------------------------------------------------------------

/** One header block in HEADERS and CONTINUATION before it is decoded, bytes (CONTINUATION flood). */
export const HEADER_BLOCK_BYTES_MAX = 64 * KIB;
/** CONTINUATION frames of one header block: with empty ones the byte bound above would never be reached. */
export const CONTINUATIONS_MAX = 64;
/** DATA frames without content in a row, per connection (empty frames flood); gRPC libraries send one per call at most. */
export const EMPTY_DATA_FRAMES_MAX = 10_000;
/** SETTINGS frames of one peer at once, and per second from then on: each may touch every open stream. */
export const SETTINGS_BURST = 100;
export const SETTINGS_PER_SECOND = 10;
/** Handlers of one connection still running for streams that are gone: beyond it new streams are refused (rapid reset). */
export const ORPHANS_PER_CONNECTION_MAX = 10_000;
/**
 * Bytes that one connection may make us hold: open streams, unfinished, unread and running requests, answers it does
 * not take. Beyond it new streams are refused, and a message that goes on growing ends its stream.
 */
export const HELD_BYTES_PER_CONNECTION_MAX = 256 * MIB;
/** The same over all connections: beyond it each connection is left with the allowance below. */
export const HELD_BYTES_MAX = 1024 * MIB;
/** What a connection may hold whatever the others do. */
export const HELD_BYTES_ALLOWANCE = 8 * MIB;
/** Orphans over all connections, and what a single one may have whatever the others do. */
export const ORPHANS_MAX = 100_000;
export const ORPHANS_ALLOWANCE = 100;
/** What an open stream counts for in that budget besides its bytes: a watch with its handler takes as much (measured). */
export const STREAM_COST_BYTES = 4 * KIB;
/** ... and what a request costs that is no gRPC call: it has a node:http request and response of its own. */
export const PLAIN_CALL_COST_BYTES = 64 * KIB;
/** Stream ids remembered after we ended a stream before its peer did, so that late frames are told from wrong ones. */
export const REMEMBERED_RESETS_MAX = 10_000;

/**
 * What an error quotes of a request, characters. HPACK lets a request of twenty bytes carry a path of four thousand,
 * and percent-encoding makes three of each: a chunk of such requests would be answered by a thousand times its size.
 */
export const QUOTED_CHARACTERS_MAX = 256;

// ---- Sending ------------------------------------------------------------------------------------------------

/** Bytes the system has not taken from one connection: beyond it streams wait for the peer to read. */
export const UNSENT_BYTES_HIGH = 256 * KIB;
/** ... and beyond it we read nothing more from it: the answers to its frames are what piles up. */
export const UNSENT_BYTES_MAX = 1 * MIB;
/** Messages up to this size are copied into the frames' buffer; larger ones are written from where they lie. */
export const COPIED_MESSAGE_BYTES_MAX = 4 * KIB;
/** Messages up to this size are compressed and unpacked at once, others off the event loop: half a millisecond of work. */
export const GZIP_INLINE_BYTES_MAX = 32 * KIB;
/** What is compressed in one go, bytes; between two pieces of a larger message others have theirs. Some ten milliseconds. */
export const GZIP_SLICE_BYTES = 1 * MIB;
/** Payload of a DATA frame we send at most, bytes, whatever the peer would accept: streams take turns at this size. */
export const DATA_FRAME_BYTES_MAX = 64 * KIB;
/** A dynamic HPACK table that we fill at most, bytes. */
export const ENCODER_TABLE_BYTES_MAX = 4 * KIB;

// ---- Time ---------------------------------------------------------------------------------------------------

/** A connection that has not sent its preface and SETTINGS by then is closed (half-open connections), milliseconds. */
export const HANDSHAKE_TIMEOUT_MS = 10_000;
/** A plain request that was answered before its end may go on for this long until its stream is reset, milliseconds. */
export const ANSWERED_EARLY_MS = 1_000;
/** Written GOAWAY and trailers may take this long to leave before the socket is destroyed, milliseconds. */
export const CLOSE_TIMEOUT_MS = 1_000;
/** PINGs over its allowance after which a client is sent away (etcd's and gRPC's). */
export const PING_STRIKES_MAX = 2;
/** Time between PINGs of a client without a call (gRPC's), milliseconds. */
export const IDLE_PING_INTERVAL_MS = 2 * 60 * 60 * 1000;
/** For the next request of a client that was just answered the event loop looks this long before it sleeps, milliseconds. */
export const CLIENT_EAGER_POLL_MS = 0.05;
