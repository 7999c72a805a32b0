/**
 * What one process has on its disk, and that it promises nothing else: no vote, candidacy or acknowledgement leaves it
 * before the batch that carries it is synced.
 */

import type {Message} from '../../src/engine/raft/message.ts';
import type {OpenedMember} from '../../src/engine/server/open-member.ts';
import type {MemberId} from '../../src/engine/types.ts';
import type {SimulatedEndpoint} from './simulated-endpoint.ts';

type Batch = Parameters<OpenedMember['wal']['append']>[0];

export class Durability {
  readonly #self: MemberId;
  readonly #broken: (detail: string) => void;
  #term: number;
  #vote: MemberId;
  #lastIndex: number;

  /** What was opened is on disk. */
  constructor(
    {raft, wal, identity}: OpenedMember,
    network: SimulatedEndpoint,
    broken: (detail: string) => void,
  ) {
    const {term, vote, lastIndex} = raft.status();
    this.#self = identity.memberId;
    this.#broken = broken;
    this.#term = term;
    this.#vote = vote;
    this.#lastIndex = lastIndex;
    const append = wal.append.bind(wal);
    wal.append = async (batch) => {
      await append(batch);
      if (batch.sync) this.#synced(batch);
    };
    const send = network.send.bind(network);
    network.send = (to, messages) => {
      for (const message of messages) this.#check(message);
      send(to, messages);
    };
  }

  #synced({entries, hardState, snapshot}: Batch): void {
    if (snapshot !== undefined) this.#lastIndex = Math.max(this.#lastIndex, snapshot.index);
    // Entries replace whatever was behind them.
    this.#lastIndex = entries.at(-1)?.index ?? this.#lastIndex;
    this.#term = hardState?.term ?? this.#term;
    this.#vote = hardState?.vote ?? this.#vote;
  }

  #check(message: Message): void {
    const {type} = message;
    if (type === 'vote') this.#checkVote(message.term, this.#self, type);
    else if (type === 'voteResponse' && !message.rejected) this.#checkVote(message.term, message.to, type);
    else if (type === 'appendResponse' && !message.rejected && message.index > this.#lastIndex)
      this.#broken(`acknowledges ${message.index}, but only ${this.#lastIndex} is on its disk`);
  }

  #checkVote(term: number, vote: MemberId, what: string): void {
    const isKept = term < this.#term || (term === this.#term && vote === this.#vote);
    if (!isKept) this.#broken(`sends a ${what} of term ${term}, which is not on its disk`);
  }
}
