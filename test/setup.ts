/**
 * Before every test file: property tests draw from one seed, so that a run says the same twice. Another seed looks
 * elsewhere: KVD_PROPERTY_SEED=$RANDOM npx vitest run --project code
 */

import fc from 'fast-check';

fc.configureGlobal({seed: Number(process.env.KVD_PROPERTY_SEED ?? 1)});
