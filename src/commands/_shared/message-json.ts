/**
 * An etcd message as Go's encoder prints its generated struct: names from the .proto files, empty fields left out,
 * enums as numbers, a oneof inside an object that has the oneof's name.
 */

import type {FieldInfo} from '../../transport/proto/field-info.ts';
import {MESSAGE_FIELDS} from '../../transport/proto/generated/fields.ts';
import {type JsonValue, unlessEmpty} from './go-json.ts';

/** @param type the message's full name, `etcdserverpb.RangeResponse` */
export function messageJson(type: string, message: object): JsonValue {
  const fields = MESSAGE_FIELDS[type];
  if (fields === undefined) throw new Error(`no message is called ${type}`);
  const json: Record<string, JsonValue> = {};
  for (const field of fields) {
    const value = (message as Record<string, unknown>)[field.name];
    const shown = value === undefined ? undefined : fieldJson(field, value);
    if (shown === undefined) continue;
    if (field.oneof === undefined) json[field.jsonName] = shown;
    else
      json[goName(field.oneof)] = {
        [field.oneof === 'response' ? field.jsonName : goName(field.jsonName)]: shown,
      };
  }
  return json;
}

function fieldJson(field: FieldInfo, value: unknown): JsonValue {
  if (field.kind !== 'message') return unlessEmpty(value as JsonValue);
  const type = field.type as string;
  if (!field.repeated) return messageJson(type, value as object);
  return unlessEmpty((value as readonly object[]).map((item) => messageJson(type, item)));
}

/** `target_union` → `TargetUnion`. */
function goName(name: string): string {
  return name.replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
