/** Bugs of leases. */

import {type Mutant, SINGLE_FAULTS} from './mutant.ts';

export const LEASE_MUTANTS: readonly Mutant[] = [
  {
    id: 'stale-leader-revokes',
    fastSeeds: 40,
    bug: '56 (etcd 15247)',
    what: 'a deposed leader goes on expiring leases, and its revokes count in the new term',
    changes: [
      {file: 'server/replica.ts', find: 'if (!isLeader) this.#duties.resign();', replace: ''},
      {
        file: 'server/proposals.ts',
        find: 'requestId, payload, isLeadersOwn});',
        replace: 'requestId, payload, isLeadersOwn: false});',
      },
      {
        file: 'state-machine/state-machine.ts',
        find: "if (isStale(proposerTerm, term)) return done({type: 'leaseRevoke', isStale: true});",
        replace: '',
      },
    ],
    by: ['leases', 'state', 'state hash', 'linearizability', 'liveness'],
  },
  {
    id: 'follower-expires',
    bug: '56 (etcd 15247)',
    what: 'a deposed leader goes on expiring leases, as if a client had asked for it',
    changes: [
      {file: 'server/replica.ts', find: 'if (!isLeader) this.#duties.resign();', replace: ''},
      {
        file: 'server/lease-expirer.ts',
        find: "this.#options.propose({type: 'leaseRevoke', id, proposerTerm: leading.term})",
        replace: "this.#options.propose({type: 'leaseRevoke', id, proposerTerm: 0})",
      },
    ],
    by: ['leases'],
  },
  {
    id: 'renewal-leaves-checkpoint',
    bug: '60 (etcd 14253)',
    what: 'a renewal does not take back the checkpoint before it',
    changes: [
      {
        file: 'server/lease-expirer.ts',
        find: '    if (deadline.needsReset) this.#reset(leading, deadline);\n',
        replace: '',
      },
    ],
    by: ['leases'],
  },
  {
    id: 'checkpoint-of-the-deposed',
    bug: '60 (etcd 14253)',
    what: 'a checkpoint that waits while leadership moves is logged by the next leader',
    changes: [
      {
        file: 'server/proposals.ts',
        find: 'requestId, payload, isLeadersOwn});',
        replace: 'requestId, payload, isLeadersOwn: false});',
      },
      {
        file: 'state-machine/state-machine.ts',
        find: "if (isStale(command.proposerTerm, term)) return done({type: 'leaseCheckpoint', isStale: true});",
        replace: '',
      },
    ],
    swarm: {
      ...SINGLE_FAULTS,
      members: 3,
      kinds: ['moveLeader', 'slowMember'],
      clientMix: 'leases',
      clockRateMax: 1.0001,
    },
    by: ['leases'],
  },
  {
    id: 'failover-starts-anew',
    fastSeeds: 40,
    bug: '60 (etcd 17132)',
    what: 'a new leader gives every lease its whole TTL',
    changes: [
      {
        file: 'server/lease-expirer.ts',
        find: 'leftMs: remainingTtlSeconds > 0 ? remainingTtlSeconds * 1000 : deadline.ttlMs,',
        replace: 'leftMs: deadline.ttlMs,',
      },
    ],
    swarm: {
      members: 3,
      clients: 4,
      requestsAtOnce: 1,
      clientPauseMsMax: 300,
      clientMix: 'grants',
      leaseSecondsMax: 15,
      kinds: ['kill', 'clockJump'],
      faultPauseMsMax: 5_000,
      clockRateMax: 1.0001,
    },
    by: ['leases'],
  },
  {
    id: 'full-revoke-queue-forgets',
    fastSeeds: 40,
    bug: '59 (etcd 10686, 9935)',
    what: 'a lease that expires while many revokes are on their way is forgotten',
    changes: [
      {
        file: 'server/lease-expirer.ts',
        find: 'Math.min(LEASE_SLICE, room);',
        replace: 'LEASE_SLICE + 0 * room;',
      },
      {
        file: 'server/lease-expirer.ts',
        find: '    deadline.isExpired = true;\n    leading.revokesInFlight++;',
        replace:
          '    deadline.isExpired = true;\n    if (leading.revokesInFlight >= LEASE_REVOKES_IN_FLIGHT_MAX) return;\n    leading.revokesInFlight++;',
      },
      // Else a simulated cluster never has so many.
      {
        file: 'limits.ts',
        find: 'LEASE_REVOKES_IN_FLIGHT_MAX = 1_000;',
        replace: 'LEASE_REVOKES_IN_FLIGHT_MAX = 1;',
      },
    ],
    by: ['leases', 'liveness'],
  },
  {
    id: 'renews-what-expired',
    bug: '57 (etcd 20615)',
    what: 'a lease whose revoke is on its way is renewed, and the answer does not look whether it is still there',
    changes: [
      {
        file: 'server/lease-expirer.ts',
        find: '    if (deadline.isExpired) return await this.#gone(leading, id);\n',
        replace: '',
      },
      // Else this alone would do: who comes so late was checkpointed, so that its renewal goes through the log.
      {
        file: 'server/lease-expirer.ts',
        find: 'return this.#options.lease(id) === undefined ? 0 : lease.ttlSeconds;',
        replace: 'return lease.ttlSeconds;',
      },
    ],
    swarm: {...SINGLE_FAULTS, kinds: ['slowDisk'], clockRateMax: 1.0001},
    by: ['leases'],
  },
  {
    id: 'denies-what-may-live-on',
    bug: '57 (etcd 20615)',
    what: 'a renewal is told that there is no such lease while its revoke is on its way, and may fail',
    changes: [
      {
        file: 'server/lease-expirer.ts',
        find: 'return await this.#gone(leading, id);',
        replace: 'return 0;',
      },
    ],
    swarm: {clientMix: 'leases'},
    by: ['leases'],
  },
  {
    id: 'deposed-leader-renews',
    bug: '57 (etcd 20615)',
    what: 'a leader renews leases without proof that it still leads',
    changes: [
      {
        file: 'server/leases.ts',
        find: '    await this.#options.reads.confirm();\n    if (!this.#options.expirer.leading)',
        replace: '    if (!this.#options.expirer.leading)',
      },
      {
        file: 'server/leases.ts',
        find: '      await reads.confirm();\n',
        replace: '      void reads;\n',
      },
    ],
    swarm: {
      ...SINGLE_FAULTS,
      members: 3,
      kinds: ['isolate', 'pause'],
      faultPauseMsMax: 3_000,
      clockRateMax: 1.0001,
    },
    by: ['leases'],
  },
  {
    id: 'keys-outlive-lease',
    fastSeeds: 40,
    bug: '59 (etcd 9935)',
    what: 'a revoke leaves the last key of the lease',
    changes: [
      {
        file: 'state-machine/lease/lessor.ts',
        find: 'yield* sortSlices([...lease.keys]);',
        replace: '(yield* sortSlices([...lease.keys])).slice(0, Math.max(1, lease.keys.size - 1));',
      },
      {
        file: 'state-machine/lease/lessor.ts',
        find: "assert(lease.keys.size === 0, 'the keys of a revoked lease are gone');",
        replace: '',
      },
    ],
    by: ['state', 'linearizability', 'state hash', 'exception', 'assertion', 'members stay up', 'watch'],
  },
];
