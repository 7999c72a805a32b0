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
/** What such a cut has to free at least, bytes: each costs a flush of the store and a marker in the log. */
export const RAFT_LOG_CUT_BYTES_MIN = 64 * MIB;
/** Reads waiting for their index at a leader: each is a batch of its asker's, so this many means nobody answers. */
export const RAFT_PENDING_READS_MAX = 4_096;
/**
 * For how long a leader puts off what may turn out to be superfluous: telling a commit, which the next entries
 * carry anyway; asking those for a read whose answer a quorum does without.
 */
export const RAFT_POSTPONE_MS = 1;

// ---- Log on disk --------------------------------------------------------------------------------------------

/** One segment file, bytes: small enough to purge in steps, large enough that rotation is rare. */
export const WAL_SEGMENT_BYTES = 64 * MIB;
/** The first segment of a log, bytes; each next one is twice as large up to the full size: a fresh member is small. */
export const WAL_SEGMENT_BYTES_FIRST = 4 * MIB;
/** One record, bytes: a length field that says more is damage, not a record. */
export const WAL_RECORD_BYTES_MAX = 64 * MIB;
/** What one append writes, bytes: twice what a leader may have uncommitted, so that no Ready is too large. */
export const WAL_BATCH_BYTES_MAX = 512 * MIB;
/** The encoding buffer that is kept between appends, bytes: batches beyond it are rare and bring their own. */
export const WAL_BUFFER_BYTES_KEPT = 1 * MIB;
/** Zeros of the next segment between two syncs, bytes: more at once would hold up the log's own sync behind them. */
export const WAL_PREPARE_STEP_BYTES = 1 * MIB;
/** The log is read in parts of this size at start, bytes. */
export const WAL_READ_BYTES = 1 * MIB;
/** A sync that takes longer is worth a line in the log, milliseconds (etcd's). */
export const WAL_SLOW_SYNC_MS = 1_000;

// ---- Store --------------------------------------------------------------------------------------------------

/** The overlay is committed at the latest after this time: it bounds the log that a restart replays. */
export const BACKEND_COMMIT_INTERVAL_MS = 1_000;
/** ... or after this many changed records. */
export const BACKEND_COMMIT_RECORDS = 10_000;
/** The overlay's bytes beyond which new proposals wait: the disk cannot keep up. */
export const OVERLAY_BYTES_MAX = 256 * MIB;
/**
 * The overlay's bytes beyond which nothing more is applied until half of it is written: what follows waits in the log.
 * A leader that refuses proposals from the bound above on has no more on their way than takes it up to here.
 */
export const OVERLAY_APPLY_BYTES_MAX = OVERLAY_BYTES_MAX + RAFT_UNCOMMITTED_BYTES_MAX;
/** Waits between attempts to commit while the disk is full, milliseconds: the first, and the longest. */
export const BACKEND_RETRY_MS_MIN = 100;
export const BACKEND_RETRY_MS_MAX = 5_000;
/**
 * Room on the disk below which nothing is committed to the backend, bytes, beside twice the commit's own: LMDB must not
 * be refused a write. Others fill the disk meanwhile.
 */
export const BACKEND_ROOM_BYTES_MIN = MIB;
/** A record's key, bytes: what LMDB can hold. Names that users give are longer and never are keys as they stand. */
export const BACKEND_KEY_BYTES_MAX = 1_978;
/** A record's value, bytes: a log record holds it before the backend does. */
export const BACKEND_VALUE_BYTES_MAX = WAL_RECORD_BYTES_MAX;
/**
 * Address space for the backend's file, bytes. Growing the map would keep the old one beside it for standing
 * readers, and its pages would count twice as memory of the process; address space costs nothing.
 */
export const BACKEND_MAP_BYTES = 1024 * 1024 * MIB;
/** Readers of one backend file at a time: the loop's own, and views (snapshots on the way, each bounded by peers). */
export const BACKEND_READERS_MAX = 126;
/** Processes that read one backend for snapshots at a time, each with a core and some 60 MB; others wait. */
export const BACKEND_EXPORTS_MAX = 8;
/** Records of a commit packed for the writer before the loop runs again, bytes: about a third of a millisecond. */
export const BACKEND_PACK_BYTES = 256 * KIB;
/** Packed parts kept for the next commit instead of being allocated anew. */
export const BACKEND_PACKS_KEPT = 16;
/** Records that a range reads ahead in one go; it starts with few, since most ranges end early. */
export const RANGE_READ_AHEAD_MIN = 4;
export const RANGE_READ_AHEAD_MAX = 256;
/** ... and bytes of them: half a millisecond, however large the values are. */
export const RANGE_READ_AHEAD_BYTES_MAX = 256 * KIB;
/** One commit while a state image is taken in, bytes: large enough to be fast, small beside the process. */
export const STATE_IMAGE_COMMIT_BYTES = 16 * MIB;

// ---- Slices -------------------------------------------------------------------------------------------------

/** Keys that a long command, range, compaction or snapshot handles before the loop runs again. */
export const SLICE_KEYS = 1_000;
/** ... or bytes of values it reads: a thousand values of a megabyte are no slice. */
export const SLICE_BYTES = 1 * MIB;
/** A slice's time, milliseconds: the other half of the same bound, checked by whoever has a clock. */
export const SLICE_MS = 5;
/** A walk over the whole store that nobody waits for leaves the loop to others for this long between slices. */
export const SLICE_REST_MS = 2;

/** A range deletion of this many keys is one fact at once; its tombstones are written beside what comes after it. */
export const PENDING_DELETE_KEYS_MIN = 10_000;
/** Such deletions at a time: every lookup asks all of them. Further ones write their tombstones as they happen. */
export const PENDING_DELETES_MAX = 16;
/** Keys whose tombstones are written, or whose revisions are deleted, between two looks at the clock: under a millisecond. */
export const RECLAIM_SLICE_KEYS = 200;
/** A slice of such work, milliseconds: a put needs several turns of the loop, and may wait a slice for each. */
export const RECLAIM_SLICE_MS = 3;
/** The overlay's bytes beyond which such work waits: more of it in memory makes the garbage collector's pauses longer. */
export const RECLAIM_OVERLAY_BYTES_MAX = 4 * MIB;
/** Watchers of such a deletion may read it for this long before a compaction that was asked for meanwhile, milliseconds. */
export const RECLAIM_WATCHERS_WAIT_MS = 5_000;

// ---- Requests -----------------------------------------------------------------------------------------------

/** Key-value bytes in one part of a streamed range: enough to fill a frame, little enough to hold per stream. */
export const RANGE_PART_BYTES = 1 * MIB;
/** Key-value bytes that the answer of a range keeps in memory; what is beyond them is read again while it is sent. */
export const RANGE_KEPT_BYTES = 1 * MIB;
/** ... but for small ones: reading each again would cost more than it takes to keep them. */
export const DISTANT_BYTES_MIN = 256;
/** Transactions inside transactions: the default operation budget (128) allows no deeper; it bounds recursion. */
export const TXN_DEPTH_MAX = 128;
/** Committed entries that wait to be applied: etcd refuses proposals beyond a gap of 5,000 between committed and applied. */
export const COMMITTED_UNAPPLIED_MAX = 5_000;
/** Bytes of proposals that wait for a leader: beyond it clients are told to come back later. */
export const PROPOSALS_WAITING_BYTES_MAX = 64 * MIB;
/** The part of a proposal's time limit that does not depend on the election timeout, milliseconds (etcd's). */
export const REQUEST_TIMEOUT_BASE_MS = 5_000;
/** etcd's largest lease TTL, seconds. */
export const LEASE_TTL_MAX_SECONDS = 9_000_000_000;
/** Learners a cluster may have where the entry that adds one does not say its proposer's --max-learners. */
export const LEARNERS_MAX = 1;

// ---- Watch --------------------------------------------------------------------------------------------------

/** Events waiting on one stream before its watchers are marked lagging and catch up from history instead. */
export const WATCH_QUEUE_EVENTS_MAX = 1_024;
/** ... or bytes of keys and values. */
export const WATCH_QUEUE_BYTES_MAX = 4 * MIB;
/** Bytes up to which events of several revisions share one response: clients refuse messages beyond 4 MiB. */
export const WATCH_RESPONSE_BYTES = 1 * MIB;
/** Watchers of one stream: what one connection may make this member remember. */
export const WATCHERS_PER_STREAM_MAX = 100_000;

// ---- Peers --------------------------------------------------------------------------------------------------

/** Bytes waiting for one peer: beyond it messages are dropped, and raft sends them again. */
export const PEER_QUEUE_BYTES_MAX = 64 * MIB;
/** One frame from a peer, bytes: the largest append message with its largest entry, and room. */
export const PEER_FRAME_BYTES_MAX = 128 * MIB;
/** What of it is handed to the socket at once, bytes: the rest waits where heartbeats and answers overtake it. */
export const PEER_SOCKET_BYTES_MAX = 1 * MIB;
/** Messages packed into one frame, bytes: a frame is in memory twice while it is packed. */
export const PEER_BATCH_BYTES = 512 * KIB;
/** Questions without an answer on one link: a peer that hangs costs no more memory than this many. */
export const PEER_CALLS_MAX = 8_192;
/** Pauses between attempts to reach a peer, milliseconds: a returned peer is found well within an election timeout. */
export const PEER_RECONNECT_MS_MIN = 10;
export const PEER_RECONNECT_MS_MAX = 1_000;
/** A link that broke before it stood this long counts as another failed attempt, milliseconds. */
export const PEER_STABLE_MS = 1_000;
/** For the answer of a read's question the event loop looks this long before it sleeps, milliseconds: two round trips in a rack. */
export const PEER_EAGER_POLL_MS = 0.1;
/** One attempt, milliseconds: a host that swallows packets is tried again rather than waited for. */
export const PEER_DIAL_TIMEOUT_MS = 2_000;
/** Pings of one link in a row that stayed without any answer; four go out per election timeout. */
export const PEER_PINGS_MISSED_MAX = 6;
/** A connection to the peer port must have said what it wants within this time, milliseconds. */
export const PEER_HANDSHAKE_TIMEOUT_MS = 5_000;
/** Connections to the peer port: seven members' links, calls and snapshots, and a lot of strangers. */
export const PEER_CONNECTIONS_MAX = 1_024;
/** Members that are not listed here, and yet have a link back because they dialled: a cluster's worth of new ones. */
export const PEER_UNLISTED_MAX = 16;
/** Such a link back outlives the link that it answers by this, milliseconds: the other end dials again by then. */
export const PEER_UNLISTED_LINGER_MS = 10_000;
/** Own peer URLs told in a handshake, number and bytes: Node takes 16 KiB of headers, and a member has one or two. */
export const PEER_TOLD_URLS_MAX = 8;
export const PEER_TOLD_URLS_BYTES_MAX = 4 * KIB;
/** Refused strangers that are remembered so as to be logged once. */
export const PEER_REFUSALS_REMEMBERED = 256;
/** Look-ups of host names at a time: each holds one of Node's four pool threads, which the log's fdatasync needs. */
export const PEER_LOOKUPS_MAX = 2;
/** Parts of an incoming snapshot that wait for the disk before its connection is no longer read. */
export const PEER_SNAPSHOT_QUEUE_CHUNKS = 4;
/** A snapshot transfer without any progress ends after this time, milliseconds. */
export const PEER_SNAPSHOT_STALL_MS = 30_000;
/** A part of a snapshot between members, bytes. */
export const PEER_SNAPSHOT_CHUNK_BYTES = 256 * KIB;

// ---- Leases -------------------------------------------------------------------------------------------------

/** How often a leader looks for expired leases, milliseconds: how late a lease may go (etcd's). */
export const LEASE_EXPIRY_INTERVAL_MS = 500;
/** Revokes on their way through the log at once: many leases that expire together must not drown the clients. */
export const LEASE_REVOKES_IN_FLIGHT_MAX = 1_000;
/** Leases that a leader begins, revokes or checkpoints before the loop runs again: a millisecond or two. */
export const LEASE_SLICE = 500;
/** Checkpoints on their way through the log at once: a million leases that are due together must not fill the inbox. */
export const LEASE_CHECKPOINTS_IN_FLIGHT_MAX = 4;
/** The shortest time between two checkpoints of one lease, milliseconds: short leases lose little by a failover. */
export const LEASE_CHECKPOINT_INTERVAL_MIN_MS = 1_000;
/** Renewals of one command that takes checkpoints back (etcd's size of a checkpoint). */
export const LEASE_CHECKPOINT_BATCH = 1_000;

// ---- Server -------------------------------------------------------------------------------------------------

/** A read index that stays unanswered is asked for again after this time, milliseconds (etcd's). */
export const READ_INDEX_RETRY_MS = 500;
/** Pauses before the leader is asked about a lease again, milliseconds: the first (etcd's), and the longest. */
export const LEASE_ASK_RETRY_MS_MIN = 50;
export const LEASE_ASK_RETRY_MS_MAX = 500;
/** Log indexes between two remembered state hashes, and how many are remembered, for the comparison of members. */
export const STATE_HASH_STRIDE = 64;
export const STATE_HASHES_REMEMBERED = 8_192;
/** Time between two comparisons of the members' state hashes, milliseconds. */
export const STATE_HASH_CHECK_INTERVAL_MS = 5_000;
/** A question to another member is given up after this time, milliseconds. */
export const PEER_CALL_TIMEOUT_MS = 3_000;
/** Time between two auto compactions by revision, milliseconds (etcd's). */
export const AUTO_COMPACTION_REVISION_INTERVAL_MS = 5 * 60_000;
/** The longest retention from which the rhythm of periodic auto compaction is derived, milliseconds (etcd's). */
export const AUTO_COMPACTION_INTERVAL_MAX_MS = 60 * 60_000;
/** A peer counts as healthy for membership changes when its link has stood this long, milliseconds (etcd's). */
export const PEER_HEALTHY_AFTER_MS = 5_000;
/** A membership change that raft refuses for the moment is offered again after this time, milliseconds. */
export const MEMBERSHIP_RETRY_MS = 50;
/** A learner may be promoted when it has this part of the leader's log (etcd's). */
export const LEARNER_READY_RATIO = 0.9;
/** A member tries to publish its name and client URLs again after this time, milliseconds. */
export const PUBLISH_RETRY_MS = 1_000;
/** A leader asked to hand over is given this many election timeouts before the wish fails. */
export const LEADER_TRANSFER_ELECTIONS = 1;

// ---- Client API ---------------------------------------------------------------------------------------------

/** Messages nested in one another: twice the deepest transaction that etcd's default of 128 operations allows. */
export const PROTO_DEPTH_MAX = 512;

// ---- Snapshot files -----------------------------------------------------------------------------------------

/** One message of the snapshot stream, bytes: etcd's. */
export const SNAPSHOT_CHUNK_BYTES = 32 * KIB;
/** One record's pages in a snapshot file, bytes: a length that says more is damage, and is not allocated. */
export const SNAPSHOT_RUN_BYTES_MAX = 256 * MIB;
/** Levels of a bucket's tree: at two children each they hold more than any file, so more is a cycle. */
export const SNAPSHOT_TREE_DEPTH_MAX = 48;
/** What is read ahead of a walk through a snapshot file, bytes: a disk's cost per request becomes small. */
export const SNAPSHOT_READ_AHEAD_BYTES = 1 * MIB;
/** After an image has arrived the log is not cut for this long, milliseconds: the member has to catch up by it (etcd's). */
export const SNAPSHOT_LOG_HOLD_MS = 30_000;
/** A joining member asks its peers again after this time, and gives up after that, milliseconds. */
export const JOIN_RETRY_MS = 500;
export const JOIN_TIMEOUT_MS = 30_000;
