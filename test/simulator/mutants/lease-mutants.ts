/** Bugs of leases. */

import type {Mutant} from './mutant.ts';

export const LEASE_MUTANTS: readonly Mutant[] = [
  {
    id: 'stale-leader-revokes',
    bug: '56 (etcd 15247)',
    what: 'the revoke of a leader that was deposed meanwhile counts',
    changes: [
      {
        file: 'state-machine/state-machine.ts',
        find: "if (isStale(proposerTerm, term)) return done({type: 'leaseRevoke', isStale: true});",
        replace: '',
      },
    ],
    by: ['leases', 'state', 'linearizability'],
  },
  {
    id: 'follower-expires',
    bug: '56 (etcd 15247)',
    what: 'a leader that was deposed goes on expiring leases, in the name of the new term',
    changes: [
      {
        file: 'server/replica.ts',
        find: 'if (!isLeader) this.#duties.resign();',
        replace: '',
      },
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
    by: ['leases'],
  },
  {
    id: 'failover-starts-anew',
    bug: '60 (etcd 17132)',
    what: 'a new leader gives every lease its whole TTL',
    changes: [
      {
        file: 'server/lease-expirer.ts',
        find: 'leftMs: remainingTtlSeconds > 0 ? remainingTtlSeconds * 1000 : deadline.ttlMs,',
        replace: 'leftMs: deadline.ttlMs,',
      },
    ],
    by: ['leases'],
  },
  {
    id: 'failed-revoke-forgotten',
    bug: '59 (etcd 10686, 9935)',
    what: 'an expired lease whose revoke got lost is not revoked again',
    changes: [
      {
        file: 'server/lease-expirer.ts',
        find: 'const failed = () => {\n      landed();',
        replace: 'const failed = () => {\n      leading.revokesInFlight--;',
      },
    ],
    by: ['leases', 'liveness'],
  },
  {
    id: 'renews-what-expired',
    bug: '57 (etcd 20615)',
    what: 'a lease whose revoke is on its way is renewed',
    changes: [
      {
        file: 'server/lease-expirer.ts',
        find: 'lease === undefined || deadline.isExpired)',
        replace: 'lease === undefined)',
      },
    ],
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
        find: '      // Waits for a leader, and that this member knows all leases granted before.\n      await reads.confirm();\n',
        replace: '',
      },
    ],
    by: ['leases'],
  },
  {
    id: 'keys-outlive-lease',
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
    by: ['state', 'linearizability', 'state hash', 'exception', 'assertion', 'members stay up'],
  },
];
