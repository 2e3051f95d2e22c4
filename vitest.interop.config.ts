import { defineConfig } from 'vitest/config';

/** Tests beside real peers (SIPp, baresip, tshark, …): one file at a time, because they share ports and the machine's cores. */
export default defineConfig({
  test: {
    include: ['test/interop/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    pool: 'forks',
    fileParallelism: false,
  },
});
