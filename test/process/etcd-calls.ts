/**
 * A few calls to any etcd server by an independent client (`@grpc/grpc-js` over kvd's .proto files would be kvd's
 * own reading of the API; the npm package `etcd3` brings its own), for harnesses and checks.
 */

import {Etcd3} from 'etcd3';

export class EtcdCalls implements Disposable {
  readonly client: Etcd3;

  constructor(endpoints: string | readonly string[], options: {timeoutMs?: number} = {}) {
    const hosts = typeof endpoints === 'string' ? [endpoints] : [...endpoints];
    this.client = new Etcd3({
      hosts: hosts.map((host) => (host.includes('://') ? host : `http://${host}`)),
      defaultCallOptions: () => ({deadline: Date.now() + (options.timeoutMs ?? 10_000)}),
    });
  }

  [Symbol.dispose](): void {
    this.client.close();
  }

  /** @returns the revision of the put */
  async put(key: Uint8Array | string, value: Uint8Array | string): Promise<number> {
    const response = await this.client.kv.put({key: Buffer.from(key), value: Buffer.from(value)});
    return Number(response.header.revision);
  }

  async get(key: Uint8Array | string, options: {serializable?: boolean} = {}): Promise<Buffer | undefined> {
    const response = await this.client.kv.range({key: Buffer.from(key), ...options});
    return response.kvs[0]?.value;
  }

  async revision(): Promise<number> {
    const response = await this.client.kv.range({key: Buffer.from('x')});
    return Number(response.header.revision);
  }

  async isLeader(): Promise<boolean> {
    const status = await this.client.maintenance.status();
    return status.leader === status.header.member_id;
  }

  async hash(): Promise<number> {
    return (await this.client.maintenance.hash()).hash;
  }
}
