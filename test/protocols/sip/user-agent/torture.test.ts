import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lineSdp, peerSdp, Rig } from './rig.ts';

/** Whatever a peer says in whatever order: no exception, no dialog that stays, and the next call works. */
describe('the user agent takes anything', () => {
  const methods = [
    'INVITE',
    'ACK',
    'BYE',
    'CANCEL',
    'UPDATE',
    'PRACK',
    'INFO',
    'OPTIONS',
    'REFER',
    'MESSAGE',
    'X',
  ] as const;
  const junk = fc.string({ unit: fc.constantFrom(...'v=0o- am/1IN4:;<>"\\\r\n \t%}{.$*'.split('')), maxLength: 120 });
  const body = fc.oneof(
    fc.constantFrom('', peerSdp, `${peerSdp}a=sendonly\r\n`, peerSdp.replace('127.0.0.31', '0.0.0.0'), lineSdp),
    junk,
    junk.map((text) => peerSdp + text),
    fc.integer({ min: 0, max: peerSdp.length }).map((length) => peerSdp.slice(0, length)),
  );
  const fields = fc.constantFrom(
    '',
    'Require: 100rel\r\n',
    'Supported: 100rel, timer\r\nSession-Expires: 90\r\n',
    'Session-Expires: 4294967296;refresher=x\r\n',
    'RAck: 1 1 INVITE\r\n',
    'Reason: Q.850;cause=999999\r\n',
    'Contact: *\r\n',
    'Record-Route: <sip:127.0.0.31;lr>, <sip:x@127.0.0.31>\r\n',
    'Content-Encoding: gzip\r\n',
    'P-Asserted-Identity: "\\\r\n',
  );
  const step = fc.oneof(
    fc.record({
      kind: fc.constant('request' as const),
      method: fc.constantFrom(...methods),
      body,
      fields,
      isInDialog: fc.boolean(),
      cseq: fc.option(fc.integer({ min: 0, max: 2 ** 31 - 1 }), { nil: undefined }),
      contact: fc.boolean(),
      type: fc.constantFrom('application/sdp', 'application/dtmf-relay', 'text/plain', ';'),
    }),
    fc.record({
      kind: fc.constant('answer' as const),
      status: fc.constantFrom(100, 180, 183, 200, 302, 404, 408, 481, 488, 491, 500),
      body,
    }),
    fc.record({
      kind: fc.constant('line' as const),
      event: fc.constantFrom(
        'alerting',
        'early',
        'answered',
        'hungUp',
        'failed',
        'modifyAnswered',
        'modifyRefused',
        'modifyOffered',
        'modified',
        'digit',
      ),
    }),
    fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(0, 10, 250, 3_000, 40_000) }),
  );

  it('in any order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 14 }), fc.boolean(), async (steps, isOutgoing) => {
        const rig = await Rig.up();
        if (isOutgoing) await rig.outgoing();
        else await rig.incoming();
        for (const each of steps) {
          if (each.kind === 'request') {
            const options = {
              body: each.body,
              fields: each.fields,
              contact: each.contact,
              type: each.type,
              ...(each.cseq === undefined ? {} : { cseq: each.cseq }),
            };
            if (each.isInDialog) rig.inDialog(each.method, options);
            else rig.peer.request(each.method, options);
          } else if (each.kind === 'answer') {
            const asked = rig.peer.got.findLast(({ isRequest, method }) => isRequest && method !== 'ACK');
            if (asked !== undefined) rig.peer.respond(asked, each.status, 'Whatever', { body: each.body });
          } else if (each.kind === 'line') sayAny(rig, each.event);
          else await rig.run(each.ms);
          await rig.run(5);
        }
        // Everybody leaves: nothing may stay.
        for (const call of [...rig.callControl.calls]) call.on('caller', { kind: 'hungUp' });
        await rig.run(200_000);
        await rig.readMetrics();
        expect(rig.dialogs).toBe(0);
        expect([...rig.callControl.calls]).toEqual([]);
        expect(await rig.metrics.text()).not.toMatch(/internal_errors_total\{[^}]*\} [1-9]/);
        rig.peer.got.length = 0;
        const leg = await rig.talking({ callId: 'after all', cseq: 7 });
        expect(leg.commands).toContain('connect');
        await rig.stop();
      }),
      { numRuns: 120 },
    );
  }, 120_000);
});

function sayAny(rig: Rig, event: string): void {
  const legs = [...rig.callControl.calls].flatMap((call) =>
    rig.lines.legs.some((leg) => leg.call === call) ? rig.lines.legs : [],
  );
  const leg = legs.at(-1);
  if (leg === undefined) return;
  switch (event) {
    case 'alerting':
      leg.say({ kind: 'alerting', description: lineSdp, early: false });
      return;
    case 'early':
      leg.say({ kind: 'alerting', description: lineSdp });
      return;
    case 'answered':
      leg.say({ kind: 'answered', description: lineSdp });
      return;
    case 'hungUp':
      leg.say({ kind: 'hungUp', cause: 16 });
      return;
    case 'failed':
      leg.say({ kind: 'failed', reason: 'noResources' });
      return;
    case 'modifyAnswered':
      leg.say({ kind: 'modifyAnswered', description: lineSdp });
      return;
    case 'modifyRefused':
      leg.say({ kind: 'modifyRefused', reason: 'notAcceptable' });
      return;
    case 'modifyOffered':
      leg.say({ kind: 'modifyOffered', description: lineSdp.replace('30000', '30004') });
      return;
    case 'modified':
      leg.say({ kind: 'modified', description: lineSdp.replace('30000', '30006') });
      return;
    default:
      leg.say({ kind: 'digit', signal: '5', durationMs: 100 });
  }
}
