/** Session descriptions of any kind: refused clearly and counted, or passed on as nothing but SDP; the call that talks goes on. */
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { realDescriptions, spoiltDescription } from '../../../support/session-descriptions.ts';
import { lineSdp, peerSdp, Rig } from './rig.ts';

let rig: Rig;

afterEach(async () => {
  await rig.stop();
});

const seed = 20_261_128;
const refusals = new Set([400, 413, 415, 488, 500]);

async function refused(): Promise<number> {
  const text = await rig.metrics.text();
  return Number(/^altpath_sip_calls_to_lines_refused_total (\d+)/m.exec(text)?.[1] ?? 0);
}

async function isSound(): Promise<boolean> {
  return !/internal_errors_total\{[^}]*\} [1-9]/.test(await rig.metrics.text());
}

/** What a gateway is to be given: lines of SDP, none of ours, none that is anything else. */
function expectClean(description: unknown): void {
  if (description === undefined) return;
  expect(description).toMatch(/^v=0/);
  for (const line of String(description).split('\r\n')) {
    expect(line).not.toMatch(/x-altpath/i);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
    expect(line).not.toMatch(/[\u0000-\u0008\u000a-\u001f]/);
    if (line !== '') expect(line).toMatch(/^[vosiuepcbtrzkam]=/);
  }
}

describe('RFC 3261 §13.3, RFC 3264 §5: an INVITE with a description of any kind', () => {
  it.each(realDescriptions.map((text, index) => [index, text] as const))(
    'real one %i is taken, or refused with 488 for what a line cannot do',
    async (_, body) => {
      rig = await Rig.up();
      rig.peer.request('INVITE', { body });
      await rig.run(10);
      const isBrowser = body.includes('SAVPF');
      expect(rig.lines.legs).toHaveLength(isBrowser ? 0 : 1);
      expect(rig.peer.responses('INVITE').map(({ status }) => status)).toEqual(isBrowser ? [488] : []);
    },
  );

  it('spoilt: 4xx and counted, or clean; and the next call works', async () => {
    rig = await Rig.up();
    let serial = 0;
    await fc.assert(
      fc.asyncProperty(spoiltDescription, async (body) => {
        serial += 1;
        const callId = `spoilt ${serial}`;
        const before = await refused();
        rig.lines.legs.length = 0;
        rig.peer.got.length = 0;
        rig.peer.request('INVITE', { body, callId, cseq: 1 });
        await rig.run(10);
        const own = () => rig.peer.responses('INVITE').filter((answer) => answer.callId === callId);
        const finals = own().filter(({ status }) => status >= 300);
        const [leg] = rig.lines.legs;
        if (leg === undefined) {
          expect(finals.map(({ status }) => refusals.has(status))).toEqual([true]);
          expect(await refused()).toBe(before + 1);
        } else {
          expect(finals).toEqual([]);
          expectClean(leg.last('alert')?.[1]);
          leg.say({ kind: 'failed', reason: 'busy' });
          await rig.run(10);
          expect(own().at(-1)?.status).toBe(486);
        }
        await rig.run(100);
      }),
      { seed, numRuns: 400 },
    );
    expect(await isSound()).toBe(true);
    rig.lines.legs.length = 0;
    const leg = await rig.talking({ callId: 'after all', cseq: 7 });
    expect(leg.commands).toContain('connect');
  }, 60_000);

  it('spoilt in mid-call (re-INVITE, UPDATE, and the answer to ours): the call goes on', async () => {
    rig = await Rig.up();
    const leg = await rig.talking();
    await fc.assert(
      fc.asyncProperty(spoiltDescription, fc.constantFrom('INVITE', 'UPDATE', 'answer'), async (body, how) => {
        const answers = rig.peer.got.filter(({ status, method }) => method === 'INVITE' && status === 200);
        rig.peer.got.splice(0, rig.peer.got.length, ...answers.slice(-1));
        const told = leg.told.length;
        if (how === 'answer') {
          leg.say({ kind: 'modifyOffered', description: lineSdp.replace('30000', String(30_000 + told)) });
          await rig.run(10);
          const ours = rig.peer.requests('INVITE').at(-1);
          if (ours !== undefined) rig.peer.respond(ours, 200, 'OK', { body });
          await rig.run(10);
          // RFC 3261 §13.2.2.4: a 2xx is acknowledged, whatever is in it.
          expect(rig.peer.requests('ACK').length).toBeGreaterThan(0);
        } else {
          rig.inDialog(how, { body });
          await rig.run(10);
          leg.say({ kind: 'modifyAnswered', description: lineSdp });
          await rig.run(10);
          // A refusal that was not acknowledged comes again.
          const answer = [...rig.peer.responses(how)].sort((a, b) => a.cseq - b.cseq).at(-1);
          expect(answer?.status === 200 || refusals.has(answer?.status ?? 0)).toBe(true);
          if (how === 'INVITE') rig.inDialog('ACK', { cseq: answer?.cseq ?? 0 });
          await rig.run(10);
        }
        for (const [command, description] of leg.told.slice(told))
          if (command === 'modify' || command === 'modifyAnswer' || command === 'connect') expectClean(description);
        expect(leg.commands).not.toContain('release');
      }),
      { seed, numRuns: 200 },
    );
    expect(await isSound()).toBe(true);
    rig.inDialog('BYE');
    await rig.run(10);
    expect(rig.peer.responses('BYE', 200)).toHaveLength(1);
  }, 60_000);

  it('spoilt in the 200 of a called telephone: ACK, and talking or BYE', async () => {
    rig = await Rig.up();
    await fc.assert(
      fc.asyncProperty(spoiltDescription, async (body) => {
        const leg = await rig.outgoing();
        rig.peer.respond(rig.peer.lastOf('INVITE'), 200, 'OK', { body });
        await rig.run(10);
        expect(rig.peer.requests('ACK').length).toBeGreaterThan(0);
        if (leg.commands.includes('connect')) {
          expectClean(leg.last('connect')?.[0]);
          leg.say({ kind: 'hungUp' });
        } else expect(leg.commands).toContain('release');
        await rig.run(10);
        const bye = rig.peer.requests('BYE').at(-1);
        expect(bye).toBeDefined();
        if (bye !== undefined) rig.peer.respond(bye, 200, 'OK');
        await rig.run(100);
        rig.peer.got.length = 0;
      }),
      { seed, numRuns: 150 },
    );
    expect(await isSound()).toBe(true);
    expect(peerSdp).toContain('v=0');
  }, 60_000);
});
