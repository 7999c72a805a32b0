/** Of what takes long. */
export interface Stepwise {
  /** After each step: what there is so far. */
  readonly onStep?: ((report: object) => void) | undefined;
}
