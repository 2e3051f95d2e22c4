/** The demonstration as whole programs on real sockets: kill -9 in each phase, within one protocol and across protocols. */
import { describe, expect, it } from 'vitest';
import { megacoSimulation } from '../../protocols/megaco/index.ts';
import { mgcpSimulation } from '../../protocols/mgcp/index.ts';
import { sipParty } from '../../protocols/sip/index.ts';
import { demoPhases, playGatewayDemo } from '../../src/internal.ts';

const telephone = await sipParty();

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
