import {crc32c} from '../../src/engine/lib/crc32c.ts';
import type {Entry} from '../../src/engine/raft/message.ts';

/** Tells entries of one index apart. */
export const tagOf = ({term, type, payload}: Entry): string => `${term}/${type}/${crc32c(payload)}`;
