/** A cluster that a script is run on: fills in what is peculiar to it, and takes it out of the answers again. */

import {mkdirSync} from 'node:fs';
import {join} from 'node:path';
import {EtcdCalls} from '../../process/etcd-calls.ts';
import type {Program} from '../../process/member-process.ts';
import {ProcessCluster} from '../../process/process-cluster.ts';

interface Member {
  readonly id: bigint;
  readonly endpoint: string;
  readonly peerUrl: string;
}

export class Subject {
  readonly cluster: ProcessCluster;
  readonly calls: readonly EtcdCalls[];
  readonly members: readonly Member[];
  /** An empty folder for files of the run. */
  readonly folder: string;
  readonly #captured = new Map<string, bigint>();
  /** What to replace, by what; the longest first. */
  #names: readonly (readonly [literal: string, name: string])[] = [];
  readonly #clusterId: bigint;

  constructor(cluster: ProcessCluster, members: readonly Member[], clusterId: bigint) {
    this.cluster = cluster;
    this.members = members;
    this.#clusterId = clusterId;
    this.calls = members.map(({endpoint}) => new EtcdCalls(endpoint));
    this.folder = join(cluster.folder, 'files');
    mkdirSync(this.folder);
    this.#collectNames();
  }

  static async start(program: Program, size: 1 | 3): Promise<Subject> {
    const cluster = await ProcessCluster.start({program, size});
    using calls = new EtcdCalls(cluster.members[0].endpoint);
    const list = await calls.raw.unary('etcdserverpb.Cluster/MemberList');
    const members = cluster.members.map(({endpoint, peerUrl}) => {
      const {ID} = list.members.find(({peerURLs}: {peerURLs: string[]}) => peerURLs.includes(peerUrl));
      return {id: BigInt(ID), endpoint, peerUrl};
    });
    return new Subject(cluster, members, BigInt(list.header.cluster_id));
  }

  async stop(): Promise<void> {
    for (const calls of this.calls) calls[Symbol.dispose]();
    await this.cluster.destroy();
  }

  get endpoints(): string {
    return this.members.map(({endpoint}) => endpoint).join(',');
  }

  /** All members have applied what any of them has acknowledged. @returns the revision */
  async settle(): Promise<number> {
    return Math.max(...(await Promise.all(this.calls.map((calls) => calls.revision()))));
  }

  async leader(): Promise<Member> {
    const {leader} = await this.calls[0].status();
    return this.members.find(({id}) => id === BigInt(leader)) ?? this.members[0];
  }

  /** The only member, when there is no other. */
  async follower(): Promise<Member> {
    const leader = await this.leader();
    return this.members.find(({id}) => id !== leader.id) ?? leader;
  }

  capture(name: string, id: bigint): void {
    this.#captured.set(name, id);
    this.#collectNames();
  }

  /** The words in braces of a step's text, filled in. */
  fill(text: string, context: {revision: number; endpoint: string; follower: bigint}): string {
    return text.replace(/\{([a-zA-Z]+)(?::(\d))?([+-]\d+)?\}/g, (whole, word: string, which, offset) => {
      if (word === 'revision') return `${context.revision + Number(offset ?? 0)}`;
      if (word === 'member') return (this.members[which - 1] as Member).id.toString(16);
      if (word === 'peer') return (this.members[which - 1] as Member).peerUrl;
      if (word === 'endpoint') return context.endpoint;
      if (word === 'endpoints') return this.endpoints;
      if (word === 'follower') return context.follower.toString(16);
      if (word === 'folder') return this.folder;
      return this.#captured.get(word)?.toString(16) ?? whole;
    });
  }

  /** Text with the ids, addresses and folders of this cluster replaced by names that are equal on every cluster. */
  anonymous(text: string): string {
    return this.#names.reduce((result, [literal, name]) => result.replaceAll(literal, name), text);
  }

  #collectNames(): void {
    const names: [string, string][] = [[this.folder, '<folder>']];
    const addId = (id: bigint, name: string) => {
      names.push([id.toString(16), name], [id.toString(16).padStart(16, '0'), name], [id.toString(10), name]);
    };
    addId(this.#clusterId, '<cluster>');
    this.members.forEach(({id, endpoint, peerUrl}, n) => {
      addId(id, `<member ${n + 1}>`);
      names.push([endpoint, `<client address ${n + 1}>`], [peerUrl, `<peer URL ${n + 1}>`]);
    });
    for (const [name, id] of this.#captured) addId(id, `<${name}>`);
    this.#names = names.sort(([a], [b]) => b.length - a.length);
  }
}
