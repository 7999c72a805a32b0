/** What a caller may say about one call. */
export interface CallOptions {
  /** Milliseconds for the whole call, retries included; absent: the client's `commandTimeoutMs`; 0: no limit. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Ask this endpoint and no other. */
  readonly endpoint?: string | undefined;
  /** Fail with `etcdserver: no leader`, also in the middle of a stream, rather than wait on a minority member. */
  readonly requireLeader?: boolean | undefined;
}
