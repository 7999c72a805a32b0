/**
 * A cluster of real processes on loopback, in a folder of its own that is kept when the test fails, but not when
 * somebody breaks it off.
 */

import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {atExit} from './at-exit.ts';
import {freePorts} from './free-ports.ts';
import {MemberProcess, type Program} from './member-process.ts';

export class ProcessCluster {
  readonly folder: string;
  readonly members: readonly MemberProcess[];
  readonly #forget: () => void;

  constructor(folder: string, members: readonly MemberProcess[]) {
    this.folder = folder;
    this.members = members;
    this.#forget = atExit((signal) => {
      if (signal !== undefined) removeUsed(folder);
    });
  }

  static async create(options: {
    program: Program;
    size: number;
    extraArguments?: readonly string[];
    /** Where its folder is made; the system's folder for temporary files when absent. */
    parent?: string;
    wrapper?: (name: string, folder: string) => readonly string[];
  }): Promise<ProcessCluster> {
    const {program, size, extraArguments = [], parent = tmpdir(), wrapper} = options;
    const ports = await freePorts(2 * size);
    const folder = mkdtempSync(join(parent, `${program}-cluster-`));
    const names = Array.from({length: size}, (_, i) => `m${i + 1}`);
    const initialCluster = names.map((name, i) => `${name}=http://127.0.0.1:${ports[2 * i + 1]}`).join(',');
    const members = names.map(
      (name, i) =>
        new MemberProcess({
          program,
          name,
          folder,
          clientPort: ports[2 * i],
          peerPort: ports[2 * i + 1],
          initialCluster,
          extraArguments,
          ...(wrapper && {wrapper: wrapper(name, folder)}),
        }),
    );
    return new ProcessCluster(folder, members);
  }

  /** Creates and starts it. */
  static async start(options: Parameters<typeof ProcessCluster.create>[0]): Promise<ProcessCluster> {
    const cluster = await ProcessCluster.create(options);
    try {
      for (const member of cluster.members) member.spawn();
      await Promise.all(cluster.members.map((member) => member.ready()));
    } catch (error) {
      await cluster.killAll();
      throw error;
    }
    return cluster;
  }

  get endpoints(): string {
    return this.members.map(({endpoint}) => endpoint).join(',');
  }

  async killAll(): Promise<void> {
    await Promise.all(this.members.map((member) => member.kill()));
  }

  /** Ends all processes and removes the folder. */
  async destroy(): Promise<void> {
    await this.killAll();
    this.#forget();
    rmSync(this.folder, {recursive: true, force: true});
  }
}

/** Those who wrote in it have been killed, and may not be gone yet. */
function removeUsed(folder: string): void {
  rmSync(folder, {recursive: true, force: true, maxRetries: 10});
}
