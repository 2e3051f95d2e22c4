/** The demonstration as whole programs on real sockets: kill -9 in each phase, within one protocol and across protocols. */
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { megacoSimulation } from '../../protocols/megaco/index.ts';
import { mgcpSimulation } from '../../protocols/mgcp/index.ts';
import { sipParty } from '../../protocols/sip/index.ts';
import { demoPhases, playGatewayDemo } from '../../src/internal.ts';

const telephone = await sipParty();
const main = new URL('../../src/main.ts', import.meta.url).pathname;

const pairs = [
  ['MGCP', mgcpSimulation, mgcpSimulation, undefined],
  ['MEGACO in compact text', megacoSimulation, megacoSimulation, 'compact'],
  ['MEGACO in BER', megacoSimulation, megacoSimulation, 'binary'],
  ['MGCP to MEGACO', mgcpSimulation, megacoSimulation, 'compact'],
  ['MEGACO to MGCP', megacoSimulation, mgcpSimulation, 'pretty'],
  ['a SIP telephone to MGCP', telephone, mgcpSimulation, undefined],
  ['MGCP to a SIP telephone', mgcpSimulation, telephone, undefined],
  ['a SIP telephone to MEGACO', telephone, megacoSimulation, 'compact'],
  ['MEGACO to a SIP telephone', megacoSimulation, telephone, 'pretty'],
] as const;

describe('a call survives kill -9 of the primary controller, as processes', () => {
  it.each(pairs)(
    '%s: dialling, ringing and talking',
    async (_name, calling, called, encoding) => {
      const said: string[] = [];
      const outcomes = await playGatewayDemo([[calling, called]], {
        how: 'kill',
        encoding,
        print: (text) => said.push(text),
      });
      expect(outcomes.map(({ phase }) => phase)).toEqual(demoPhases);
      for (const { gapMs } of outcomes) expect(gapMs).toEqual(expect.any(Number));
      expect(
        outcomes.filter(({ ok }) => !ok),
        said.join('\n'),
      ).toEqual([]);
    },
    90_000,
  );
});

describe('the control run of the demonstration, without AlternatePath', () => {
  it.each(['sip', 'mgcp'])(
    '%s: shows what is lost then beside a run that loses nothing',
    (protocol) => {
      const moment = protocol === 'sip' ? 'answered' : 'talking';
      const words = ['demo', '--protocol', protocol, '--moment', moment, '--json'];
      const said = execFileSync(process.execPath, [main, ...words], { encoding: 'utf8', timeout: 150_000 });
      const figures = JSON.parse(said)[protocol];
      if (protocol === 'sip') {
        expect(figures.lost).toBe(0);
        expect(figures.control.lost).toBeGreaterThan(5);
        // Calls that were over before are lost in neither.
        const before = figures.control.phases.filter(({ phase }: { phase: string }) => phase === 'ended before');
        expect(before.map(({ lost }: { lost: number }) => lost)).toEqual(before.map(() => 0));
      } else {
        expect(figures.outcomes).toMatchObject([{ ok: true }]);
        expect(figures.control).toMatchObject([{ ok: false, detail: 'no busy tone' }]);
      }
    },
    180_000,
  );
});
