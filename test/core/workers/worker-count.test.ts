/** Whether several workers can be had, said in one sentence where not. */
import { describe, expect, it } from 'vitest';
import { coreSchema } from '../../../src/config/core-schema.ts';
import { ConfigError, startController } from '../../../src/index.ts';
import { checkWorkers, maxWorkers, workerCount } from '../../../src/workers/worker-count.ts';

const sections = (port: number) =>
  new Map([['sip', { listen: [{ transport: 'udp', host: '127.0.0.1', port } as const], backup: [], backupFor: [] }]]);

describe('workers', () => {
  it('is one where nothing is said, a number, or one for each processor', () => {
    expect(workerCount(coreSchema.parse({}))).toBe(1);
    expect(workerCount(coreSchema.parse({ workers: 3 }))).toBe(3);
    const auto = workerCount(coreSchema.parse({ workers: 'auto' }));
    expect(auto).toBeGreaterThan(0);
    expect(auto).toBeLessThanOrEqual(maxWorkers);
    for (const workers of [0, 65, 1.5, 'all', '']) expect(coreSchema.safeParse({ workers }).success).toBe(false);
  });

  it.each(['darwin', 'win32'] as const)('cannot be several on %s', (platform) => {
    expect(() => checkWorkers(2, sections(5_060), undefined, platform)).toThrow(
      new ConfigError(
        `workers: 2 needs Linux or FreeBSD, where processes can share a port; this is ${platform} (write workers: 1)`,
      ),
    );
    checkWorkers(1, sections(0), undefined, platform);
  });

  it('need ports that all of them can bind', () => {
    expect(() => checkWorkers(2, sections(0), 'altpath.yaml', 'linux')).toThrow(
      /^altpath\.yaml: sip\.listen: udp:127\.0\.0\.1:0 has no fixed port/,
    );
    checkWorkers(2, sections(5_060), undefined, 'linux');
  });

  it('are refused to programs, which start one controller', async () => {
    await expect(startController({ workers: 2, sip: { listen: ['127.0.0.1:5060'] } })).rejects.toThrow(
      /workers: several processes are for the command altpath run/,
    );
  });
});
