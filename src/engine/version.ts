/** Versions that kvd states. Clients parse the API and storage versions as plain numbers. */

/** kvd's own, as in package.json (a test holds them equal). */
export const KVD_VERSION = '0.1.0';
/** The level of etcd's API that is served. */
export const API_VERSION = '3.7.1';
/** The same as `major.minor.0`: what a cluster agrees on. */
export const CLUSTER_VERSION = '3.7.0';
/** The level of etcd's stored schema that snapshots carry. */
export const STORAGE_VERSION = '3.7.0';
