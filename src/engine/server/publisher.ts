/**
 * Tells the cluster what only the member itself knows: its name and client URLs, once it has started. Also, on
 * whoever leads, the cluster version. Tried until the replicated state says so.
 */

import {PUBLISH_RETRY_MS} from '../limits.ts';
import type {Clock, Logger} from '../ports.ts';
import type {Command} from '../state-machine/command.ts';
import type {Member, MemberId} from '../types.ts';
import {CLUSTER_VERSION} from '../version.ts';

export interface PublisherOptions {
  readonly memberId: MemberId;
  readonly name: string;
  readonly clientURLs: readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly self: () => Member | undefined;
  readonly isLeader: () => boolean;
  readonly clusterVersion: () => string | undefined;
  readonly propose: (command: Command) => Promise<unknown>;
}

export class Publisher {
  readonly #options: PublisherOptions;
  #stopped = false;
  #stopTimer: () => void = () => {};

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /**
   * Resolves when this member's attributes are in the replicated list. They go through the log at every start: the
   * member knows then that it can write.
   * @returns false when the member stopped before
   */
  async publish(): Promise<boolean> {
    const {memberId, name, clientURLs, propose, logger} = this.#options;
    while (!this.#stopped) {
      try {
        await propose({type: 'memberAttributes', memberId, name, clientURLs});
        if (this.#isPublished()) {
          logger.info('member published', {name, clientURLs});
          return true;
        }
      } catch (error) {
        if (this.#stopped) break;
        logger.warn('member not published yet', {error: String(error)});
      }
      await this.#pause();
    }
    return false;
  }

  /** Called when this member has come to lead. */
  publishClusterVersion(): void {
    const {clusterVersion, propose, logger} = this.#options;
    if (clusterVersion() === CLUSTER_VERSION) return;
    propose({type: 'clusterVersion', version: CLUSTER_VERSION}).catch((error: unknown) => {
      logger.warn('cluster version not set', {error: String(error)});
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#stopTimer();
  }

  #isPublished(): boolean {
    const {self, name, clientURLs} = this.#options;
    const member = self();
    return member !== undefined && member.name === name && member.clientURLs.join() === clientURLs.join();
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#stopTimer = this.#options.clock.after(PUBLISH_RETRY_MS, resolve);
    });
  }
}
