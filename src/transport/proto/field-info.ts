/**
 * What a view of a message (JSON, `-w fields`) needs to know of a field. The generated codecs do not use it: the
 * tables lie in generated/fields.ts, loaded only by who prints.
 */

export type FieldKind =
  | 'bytes'
  | 'string'
  | 'bool'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'uint64'
  | 'enum'
  | 'message';

export interface FieldInfo {
  /** The property of the TypeScript object. */
  readonly name: string;
  /** The name in the .proto file, which Go's JSON and the gateway print. */
  readonly jsonName: string;
  /** int64 and uint64 values are `bigint` or `number`: what the value is says which. */
  readonly kind: FieldKind;
  readonly repeated: boolean;
  /** Full name of the message or enum, `etcdserverpb.RangeRequest`. */
  readonly type?: string | undefined;
  /** The oneof the field belongs to. */
  readonly oneof?: string | undefined;
}
