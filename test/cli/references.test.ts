/** The reference pages say what the program knows; nothing is in one that is not in the other. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commandsDocument, metricsDocument, metricsInSources, settingsDocument } from '../../scripts/references.ts';
import { startController } from '../../src/index.ts';

const docs = join(import.meta.dirname, '../../docs');
const page = (name: string): string => readFileSync(join(docs, name), 'utf8');

describe('reference pages (node scripts/references.ts)', () => {
  it('settings are those of the schemas', () => {
    expect(page('reference-settings.md')).toBe(settingsDocument());
    for (const setting of ['callRecords.file', 'trunks[].prefixes', 'timers.silenceMs', 'gateways'])
      expect(page('reference-settings.md')).toContain(`| \`${setting}\` |`);
  });

  it('commands are those of the help', async () => {
    expect(page('reference-commands.md')).toBe(await commandsDocument());
  });

  it('metrics are those that sources name', () => {
    expect(page('reference-metrics.md')).toBe(metricsDocument());
  });

  it('whatever a running controller of all roles shows is among them, with the same words', async () => {
    const host = '127.0.83.1';
    const controller = await startController({
      admin: `${host}:0`,
      sip: { listen: [`udp:${host}:0`], domains: ['example.com'] },
      mgcp: { listen: [`${host}:0`], gateways: ['rgw1=127.0.83.11:2427'], lines: ['200=aaln/1@rgw1'] },
      megaco: { listen: [`udp:${host}:0`], gateways: ['gw1=127.0.83.12:2944'], lines: ['300=aaln/1@gw1'] },
    });
    const text = await (await fetch(`http://${controller.admin}/metrics`)).text();
    await controller.stop();
    const known = metricsInSources();
    const shown = [...text.matchAll(/^# HELP (\S+) (.*)$/gm)];
    expect(shown.length).toBeGreaterThan(30);
    const unknown = shown.filter(([, name = '']) => !known.has(name)).map(([, name]) => name);
    expect(unknown).toEqual([]);
    for (const [, name = '', help] of shown) expect(help).toBe(known.get(name)?.help);
  });

  it('every metric that a page or the README names exists', () => {
    const known = metricsInSources();
    const suffix = /_(?:bucket|sum|count)$/;
    for (const name of ['operating.md', 'troubleshooting.md', 'sizing.md', 'floating-ip.md', '../README.md'])
      for (const metric of page(name).match(/\baltpath_[a-z_]+[a-z]/g) ?? [])
        expect(known.has(metric) || known.has(metric.replace(suffix, '')), `${name}: ${metric}`).toBe(true);
  });
});
