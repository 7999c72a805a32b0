/** Bytes that are no message: cut short, a length past the end, nested too deep. The call fails, nothing else. */
export class ProtoError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ProtoError';
  }
}
