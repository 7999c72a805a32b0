/** One header field as HPACK's tables keep it. Made once per literal; indexed fields are shared objects. */

/** Bytes that a field counts for besides its name and value (RFC 7541, section 4.1). */
export const FIELD_OVERHEAD_BYTES = 32;

// Printable ASCII without upper case and without separators that no name has; a leading colon is a pseudo field's.
const NAME = /^:?[!#$%&'*+\-.^_`|~0-9a-z]+$/;
// RFC 9113, section 8.2.1: no NUL, CR, LF anywhere, no blank at either end.
const BAD_VALUE = /[\0\r\n]|^[ \t]|[ \t]$/;

export class HeaderField {
  /** Lower case, latin1. */
  readonly name: string;
  /** latin1: one char per byte. */
  readonly value: string;
  readonly size: number;
  /** What makes a message with this field malformed (RFC 9113, section 8.2.1). */
  readonly isMalformed: boolean;

  constructor(name: string, value: string) {
    this.name = name;
    this.value = value;
    this.size = name.length + value.length + FIELD_OVERHEAD_BYTES;
    this.isMalformed = !NAME.test(name) || BAD_VALUE.test(value);
  }
}
