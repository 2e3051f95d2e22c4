/** `maxCalls`: a carrier gets so many calls at a time, the next one goes to the next carrier, or is refused (Q.850 34); emergency calls go there. */
import { describe, expect, it } from 'vitest';
import { SimCarrier } from '../../support/sip-carrier.ts';
import { carrierHost, invite, type TrunkWorld, up } from './trunk-scene.ts';
import { fieldsOf, request, statusOf } from './world.ts';

const second = '127.0.0.42:5060';
const one = { maxCalls: 1 };

let serial = 0;

/** A call by the trunk; what it was answered with is the caller's last. */
async function call({ world, caller }: TrunkWorld, number = '03012345'): Promise<string> {
  serial += 1;
  const callId = `limit-${serial}`;
  caller.send(invite(number, { callId, branch: `z9hG4bKlimit${serial}` }));
  await world.run();
  return callId;
}

async function bye({ world, caller }: TrunkWorld, callId: string, text: string): Promise<void> {
  const [route = ''] = fieldsOf(text, 'record-route');
  serial += 1;
  caller.send(
    request('BYE', {
      uri: `sip:gw@${carrierHost}`,
      from: '<sip:alice@example.com>;tag=a1',
      to: '<sip:03012345@example.com>;tag=carrier',
      callId,
      cseq: 2,
      branch: `z9hG4bKbye${serial}`,
      fields: `Route: ${route}\r\n`,
    }),
  );
  await world.run();
}

const trunkOf = ({ world }: TrunkWorld): Readonly<Record<string, unknown>> =>
  (world.role.status()['trunks'] as Record<string, Record<string, unknown>>)['carrier'] ?? {};

describe('calls at a time', () => {
  it('one more is refused with 503 and cause 34, until one has ended by BYE', async () => {
    const at = await up({}, one);
    const first = await call(at);
    at.carrier.say(200);
    await at.world.run();
    const answer = at.caller.last;
    expect(statusOf(answer)).toBe(200);
    await call(at);
    expect(statusOf(at.caller.last)).toBe(503);
    expect(fieldsOf(at.caller.last, 'reason')).toEqual(['Q.850;cause=34;text="No circuit/channel available"']);
    expect(fieldsOf(at.caller.last, 'retry-after')).toHaveLength(1);
    expect(at.carrier.placed).toHaveLength(1);
    expect(trunkOf(at)).toMatchObject({ inUse: 1, maxCalls: 1, refused: 1 });
    expect(await at.world.metrics.text()).toMatch(/sip_trunk_calls_over_limit_total\{[^}]*trunk="carrier"[^}]*\} 1\n/);
    expect(await at.world.metrics.text()).toMatch(/sip_trunk_calls_open\{[^}]*trunk="carrier"[^}]*\} 1\n/);
    await bye(at, first, answer);
    expect(trunkOf(at)).toMatchObject({ inUse: 0 });
    await call(at);
    expect(at.carrier.placed).toHaveLength(2);
    await at.world.down();
  });

  it('one that is being set up counts, one that was refused or given up does not', async () => {
    const at = await up({}, one);
    await call(at);
    await call(at);
    expect(statusOf(at.caller.last)).toBe(503);
    at.carrier.say(486);
    await at.world.run();
    expect(trunkOf(at)).toMatchObject({ inUse: 0 });
    const given = await call(at);
    expect(at.carrier.placed).toHaveLength(2);
    at.caller.send(
      request('CANCEL', {
        uri: 'sip:03012345@example.com',
        from: '<sip:alice@example.com>;tag=a1',
        to: '<sip:03012345@example.com>',
        callId: given,
        branch: `z9hG4bKlimit${serial}`,
      }),
    );
    await at.world.run();
    at.carrier.say(487);
    await at.world.run();
    expect(trunkOf(at)).toMatchObject({ inUse: 0 });
    await at.world.down();
  });

  it('one whose BYE nobody answers is over as well (RFC 3261 §15.1.1)', async () => {
    const at = await up({}, one);
    const first = await call(at);
    at.carrier.say(200);
    await at.world.run();
    const answer = at.caller.last;
    at.carrier.silent = true;
    await bye(at, first, answer);
    await at.world.run(41_000);
    at.carrier.silent = false;
    await call(at);
    expect(at.carrier.placed).toHaveLength(2);
    await at.world.down();
  });

  it('one that never said BYE is forgotten in the end', async () => {
    const at = await up({}, one);
    await call(at);
    at.carrier.say(200);
    await at.world.run(3_500_000);
    await call(at);
    expect(statusOf(at.caller.last)).toBe(503);
    await at.world.run(200_000);
    await call(at);
    expect(at.carrier.placed).toHaveLength(2);
    await at.world.down();
  });

  it('a hop that fails does not take the place of the next one of the same carrier', async () => {
    const at = await up({}, { ...one, to: [carrierHost, second] });
    const other = await SimCarrier.at(at.world.network, at.world.clock, second);
    at.carrier.refuse.push(500);
    await call(at);
    expect(other.placed).toHaveLength(1);
    expect(trunkOf(at)).toMatchObject({ inUse: 1 });
    await at.world.down();
  });

  it('a call from the carrier counts', async () => {
    const at = await up({}, { ...one, to: ['127.0.0.41:5099'] });
    await at.world.locations.save('200@example.com', [
      {
        protocol: 'sip',
        target: 'sip:200@127.0.0.9:5062',
        key: 'b',
        path: [],
        alternates: [],
        expiresMs: Number.POSITIVE_INFINITY,
        q: 1_000,
        updatedMs: 0,
      },
    ]);
    const gateway = await at.world.peer('127.0.0.41:5099');
    gateway.send(
      request('INVITE', {
        uri: 'sip:200@127.0.0.1',
        via: '127.0.0.41:5099',
        from: '<sip:0171@carrier.example>;tag=c',
        to: '<sip:200@carrier.example>',
        callId: 'from the carrier',
      }),
    );
    await at.world.run();
    expect(trunkOf(at)).toMatchObject({ inUse: 1 });
    await call(at);
    expect(statusOf(at.caller.last)).toBe(503);
    await at.world.down();
  });
});

describe('beyond the limit', () => {
  const trunks = [
    { name: 'carrier', to: [carrierHost], prefixes: ['+49'], pingSeconds: 0, ...one },
    { name: 'other', to: [second], prefixes: ['+'], pingSeconds: 0 },
  ];

  it('the next carrier that takes the number has the call', async () => {
    const at = await up({}, {}, { config: { domains: ['example.com'], trunks } });
    const other = await SimCarrier.at(at.world.network, at.world.clock, second);
    await call(at);
    await call(at);
    expect([at.carrier.placed.length, other.placed.length]).toEqual([1, 1]);
    expect(statusOf(at.caller.last)).toBe(180);
    await at.world.down();
  });

  it('an emergency call goes to the carrier all the same', async () => {
    const at = await up({}, one);
    await call(at);
    await call(at, '112');
    expect(at.carrier.placed).toHaveLength(2);
    expect(trunkOf(at)).toMatchObject({ inUse: 2, refused: 0 });
    await at.world.down();
  });

  it('the proxy stays in the path of a call that it counts, whatever recordRoute says', async () => {
    const at = await up({}, {}, { config: { domains: ['example.com'], trunks, recordRoute: false } });
    await call(at);
    expect(fieldsOf(at.carrier.of('INVITE')[0] ?? '', 'record-route')).toHaveLength(1);
    await at.world.down();
  });
});
