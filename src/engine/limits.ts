/**
 * Every bound of the engine with its reason, in one place. docs/LIMITS.md is generated from this page: a bound is
 * a constant with a unit in its name and a comment above it. Bounds that users may set live in config.ts.
 */

const KIB = 1024;
const MIB = 1024 * KIB;

// ---- Raft ---------------------------------------------------------------------------------------------------

/** Entries of one append message, bytes: larger ones delay heartbeats behind them on a slow link. */
export const RAFT_APPEND_BYTES_MAX = 1 * MIB;
/** Append messages on the way to one follower: enough to fill a link of 100 ms at full size, and no more to resend. */
export const RAFT_INFLIGHT_MESSAGES_MAX = 512;
/** Bytes of those messages: what a slow follower may hold in the leader's memory. */
export const RAFT_INFLIGHT_BYTES_MAX = 64 * MIB;
/** Uncommitted entries of a leader, bytes: beyond it proposals are refused until the quorum catches up. */
export const RAFT_UNCOMMITTED_BYTES_MAX = 256 * MIB;
/** Committed entries handed to the applier in one batch, bytes. */
export const RAFT_APPLY_BYTES_MAX = 16 * MIB;
/** The log kept in memory, bytes: beyond it a snapshot is taken and the log cut, whatever --snapshot-count says. */
export const RAFT_LOG_BYTES_MAX = 256 * MIB;

// ---- Log on disk --------------------------------------------------------------------------------------------

/** One segment file, bytes: small enough to purge in steps, large enough that rotation is rare. */
export const WAL_SEGMENT_BYTES = 64 * MIB;
/** One record, bytes: a length field that says more is damage, not a record. */
export const WAL_RECORD_BYTES_MAX = 64 * MIB;

// ---- Store --------------------------------------------------------------------------------------------------

/** The overlay is committed at the latest after this time: it bounds the log that a restart replays. */
export const BACKEND_COMMIT_INTERVAL_MS = 100;
/** ... or after this many changed records. */
export const BACKEND_COMMIT_RECORDS = 10_000;
/** The overlay's bytes beyond which new proposals wait: the disk cannot keep up. */
export const OVERLAY_BYTES_MAX = 256 * MIB;

// ---- Slices -------------------------------------------------------------------------------------------------

/** Keys that a long command, range, compaction or snapshot handles before the loop runs again. */
export const SLICE_KEYS = 1_000;
/** A slice's time, milliseconds: the other half of the same bound, checked by whoever has a clock. */
export const SLICE_MS = 5;

// ---- Requests -----------------------------------------------------------------------------------------------

/** Proposals waiting for their answer: etcd refuses beyond a gap of 5,000 between committed and applied. */
export const COMMITTED_UNAPPLIED_MAX = 5_000;
/** The part of a proposal's time limit that does not depend on the election timeout, milliseconds (etcd's). */
export const REQUEST_TIMEOUT_BASE_MS = 5_000;
/** etcd's largest lease TTL, seconds. */
export const LEASE_TTL_MAX_SECONDS = 9_000_000_000;
/** Learners a cluster may have (etcd's). */
export const LEARNERS_MAX = 1;

// ---- Watch --------------------------------------------------------------------------------------------------

/** Events waiting on one stream before its watchers are marked lagging and catch up from history instead. */
export const WATCH_QUEUE_EVENTS_MAX = 1_024;
/** ... or bytes of keys and values. */
export const WATCH_QUEUE_BYTES_MAX = 4 * MIB;
/** Watchers of one stream: what one connection may make this member remember. */
export const WATCHERS_PER_STREAM_MAX = 100_000;

// ---- Peers --------------------------------------------------------------------------------------------------

/** Bytes waiting for one peer: beyond it messages are dropped, and raft sends them again. */
export const PEER_QUEUE_BYTES_MAX = 64 * MIB;
/** One frame from a peer, bytes: the largest append message with its largest entry, and room. */
export const PEER_FRAME_BYTES_MAX = 128 * MIB;
/** A part of a snapshot between members, bytes. */
export const PEER_SNAPSHOT_CHUNK_BYTES = 256 * KIB;
