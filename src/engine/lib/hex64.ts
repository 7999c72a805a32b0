/** A 64-bit number in hex, without leading zeros: how etcd, and kvd with it, writes ids. Negative ones wrap. Pure. */
export function hex64(value: bigint): string {
  return BigInt.asUintN(64, value).toString(16);
}
