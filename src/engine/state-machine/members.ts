/**
 * The replicated list of members, and the rules that a change of it must keep. Ids are computed by the proposer.
 * A removed id never comes back: its messages may still be on their way.
 */

import {assert, EngineError} from '../errors.ts';
import {fromLatin1, toLatin1} from '../lib/bytes.ts';
import {hex64} from '../lib/hex64.ts';
import {LEARNERS_MAX} from '../limits.ts';
import type {Member, MemberId} from '../types.ts';
import type {Effects} from './effects.ts';
import {decodeMember, encodeMember, encodeMemberKey} from './member-record.ts';

/** For `remove` and `promote` only the member's id counts; for `update` its id and peerURLs. */
export interface MembershipChange {
  readonly type: 'add' | 'promote' | 'remove' | 'update';
  readonly member: Member;
  /** Of an `add`: the proposer's bound of learners, which all members go by, whatever theirs is. */
  readonly learnersMax?: number | undefined;
}

export class Members {
  readonly #effects: Effects;
  #members = new Map<MemberId, Member>();
  #removed = new Set<MemberId>();

  constructor(effects: Effects) {
    this.#effects = effects;
  }

  /** By ascending id. */
  list(): Member[] {
    return [...this.#members.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  get(id: MemberId): Member | undefined {
    return this.#members.get(id);
  }

  /** The ids that can never come back, ascending. */
  removed(): MemberId[] {
    return [...this.#removed].sort((a, b) => (a < b ? -1 : 1));
  }

  isRemoved(id: MemberId): boolean {
    return this.#removed.has(id);
  }

  /** Whether the id is or was a member's. */
  isKnown(id: MemberId): boolean {
    return this.#members.has(id) || this.#removed.has(id);
  }

  /** Why the change is refused in the present state; asked before proposing and again when it is applied. */
  check({type, member, learnersMax = LEARNERS_MAX}: MembershipChange): EngineError | undefined {
    if (this.#removed.has(member.id)) return new EngineError({code: 'memberNotFound'});
    const known = this.#members.get(member.id);
    if (type === 'add') {
      if (known !== undefined) return new EngineError({code: 'memberExists'});
      const learners = this.list().filter(({isLearner}) => isLearner).length;
      if (this.#hasPeerUrl(member)) return new EngineError({code: 'peerUrlExists'});
      if (member.isLearner && learners >= learnersMax) return new EngineError({code: 'tooManyLearners'});
      return undefined;
    }
    if (known === undefined) return new EngineError({code: 'memberNotFound'});
    if (type === 'promote' && !known.isLearner) return new EngineError({code: 'memberNotLearner'});
    if (type === 'update' && this.#hasPeerUrl(member)) return new EngineError({code: 'peerUrlExists'});
    return undefined;
  }

  apply(change: MembershipChange): void {
    assert(this.check(change) === undefined, 'a membership change is checked first');
    const {type, member} = change;
    assert(member.id !== 0n, 'the id that means nobody is no member');
    const known = this.#members.get(member.id);
    if (type === 'add') this.#save(member);
    else if (type === 'remove') this.#remove(member.id);
    else if (known !== undefined) {
      // An update keeps the role, a promotion everything but the role.
      this.#save(type === 'promote' ? {...known, isLearner: false} : {...known, peerURLs: member.peerURLs});
    }
  }

  /** A started member says who it is. @returns false when it is no member (any more) */
  setAttributes(id: MemberId, attributes: Pick<Member, 'name' | 'clientURLs'>): boolean {
    const known = this.#members.get(id);
    if (known === undefined) return false;
    this.#save({...known, name: attributes.name, clientURLs: attributes.clientURLs});
    return true;
  }

  /** @throws EngineError storeCorrupt */
  load(): void {
    const {records} = this.#effects;
    this.#members = new Map();
    for (const [key, value] of records.range('members', {})) {
      const member = decodeMember(value);
      if (toLatin1(key) !== hex64(member.id)) {
        const detail = `member ${hex64(member.id)} stands under the key ${toLatin1(key)}`;
        throw new EngineError({code: 'storeCorrupt', path: 'members', detail});
      }
      this.#members.set(member.id, member);
    }
    this.#removed = new Set([...records.range('members_removed', {})].map(([key]) => decodeMemberKey(key)));
  }

  #hasPeerUrl(member: Member): boolean {
    const others = [...this.#members.values()].filter(({id}) => id !== member.id);
    return others.some(({peerURLs}) => peerURLs.some((url) => member.peerURLs.includes(url)));
  }

  #save(member: Member): void {
    assert(!this.#removed.has(member.id), 'a removed id never comes back');
    this.#members.set(member.id, member);
    this.#effects.put('members', encodeMemberKey(member.id), encodeMember(member));
  }

  #remove(id: MemberId): void {
    const isGone = this.#members.delete(id);
    assert(isGone, 'only a member is removed');
    this.#removed.add(id);
    this.#effects.delete('members', encodeMemberKey(id));
    this.#effects.put('members_removed', encodeMemberKey(id), fromLatin1('removed'));
  }
}

function decodeMemberKey(key: Uint8Array): MemberId {
  const text = toLatin1(key);
  if (!/^[0-9a-f]{1,16}$/.test(text)) {
    throw new EngineError({code: 'storeCorrupt', path: 'members_removed', detail: `${text} is no member id`});
  }
  return BigInt(`0x${text}`);
}
