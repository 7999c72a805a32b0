/**
 * The links on which this member speaks: one to each member that is set, and one back to each other member that has
 * dialled this one. A member that was away, or that replays an old log, has a list without the leader in it; could it
 * not answer, the leader would never send it what it misses, the newer list included. A link back lasts for as long
 * as the dialler's own, and a removed member gets none.
 */

import {PEER_UNLISTED_LINGER_MS, PEER_UNLISTED_MAX} from '../../engine/limits.ts';
import type {Peer} from '../../engine/ports.ts';
import type {MemberId} from '../../engine/types.ts';
import {PeerLink, type PeerLinkOptions} from './peer-link.ts';

/** A member whose link to this one stands. */
export interface Caller {
  readonly from: MemberId;
  /** Where it says that it is reached. */
  readonly peerUrls: readonly string[];
}

export interface PeerLinksOptions extends Omit<PeerLinkOptions, 'peer' | 'changed'> {
  readonly isRemoved: (id: MemberId) => boolean;
  readonly callers: () => Iterable<Caller>;
}

export class PeerLinks {
  readonly #options: PeerLinksOptions;
  /** Exactly the keys of #peers and #unlisted, after each refresh. */
  readonly #links = new Map<MemberId, PeerLink>();
  #peers = new Map<MemberId, Peer>();
  /** Callers that are not set: when each was last seen to hold a link, monotonic milliseconds. */
  readonly #unlisted = new Map<MemberId, number>();

  constructor(options: PeerLinksOptions) {
    this.#options = options;
  }

  get(id: MemberId): PeerLink | undefined {
    return this.#links.get(id);
  }

  setPeers(peers: readonly Peer[]): void {
    const self = this.#options.identity().memberId;
    this.#peers = new Map(peers.filter(({id}) => id !== self).map((peer) => [peer.id, peer]));
    this.refresh();
  }

  /** Called when a member has dialled, and on each tick. */
  tick(): void {
    for (const link of this.#links.values()) link.tick();
    this.refresh();
  }

  /** Opens and closes links as the members set and the callers of this moment ask for. */
  refresh(): void {
    const told = this.#toldUrls();
    this.#countUnlisted(told);
    for (const [id, link] of this.#links) {
      if (this.#peers.has(id) || this.#unlisted.has(id)) continue;
      this.#links.delete(id);
      link.close('memberNotFound');
    }
    for (const {id, urls} of this.#peers.values()) {
      // What the peer says of itself is newer than the list of a member that was away.
      this.#want(id, [...new Set([...urls, ...(told.get(id) ?? [])])]);
    }
    for (const id of this.#unlisted.keys()) {
      const urls = told.get(id);
      if (urls !== undefined) this.#want(id, urls);
    }
  }

  close(): void {
    for (const link of this.#links.values()) link.close('stopped');
    this.#links.clear();
  }

  #toldUrls(): Map<MemberId, readonly string[]> {
    const told = new Map<MemberId, readonly string[]>();
    for (const {from, peerUrls} of this.#options.callers()) {
      if (peerUrls.length > 0 && !this.#options.isRemoved(from)) told.set(from, peerUrls);
    }
    return told;
  }

  #countUnlisted(told: ReadonlyMap<MemberId, unknown>): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const [id, lastMs] of this.#unlisted) {
      const isOver = nowMs - lastMs > PEER_UNLISTED_LINGER_MS && !told.has(id);
      if (isOver || this.#peers.has(id) || this.#options.isRemoved(id)) this.#unlisted.delete(id);
    }
    for (const id of told.keys()) {
      if (this.#peers.has(id)) continue;
      const hasRoom = this.#unlisted.has(id) || this.#unlisted.size < PEER_UNLISTED_MAX;
      if (hasRoom) this.#unlisted.set(id, nowMs);
    }
  }

  #want(id: MemberId, urls: readonly string[]): void {
    const known = this.#links.get(id);
    if (known !== undefined) {
      known.setUrls(urls);
      return;
    }
    const link = new PeerLink({
      ...this.#options,
      peer: {id, urls},
      changed: () => this.#countActive(),
    });
    this.#links.set(id, link);
    link.start();
  }

  #countActive(): void {
    let active = 0;
    for (const link of this.#links.values()) if (link.openSinceMs !== undefined) active++;
    this.#options.metrics.activePeers.set(active);
  }
}
