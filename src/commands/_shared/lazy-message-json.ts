/** {@link messageJson} with its tables loaded on first use: most commands print no JSON. */

import type {JsonValue} from './go-json.ts';

export async function messageJson(type: string, message: object): Promise<JsonValue> {
  const module = await import('./message-json.ts');
  return module.messageJson(type, message);
}
