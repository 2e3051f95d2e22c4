/** Workers in ordinary operation: who registers with a carrier, which calls each of them shows, to whom what is not asked for goes. */
import { describe, expect, it } from 'vitest';
import { SimCarrier } from '../support/sip-carrier.ts';
import type { SimPhone } from '../support/sip-ua.ts';
import { domain, hosts, type SipWorld } from '../support/sip-world.ts';
import { WorkerWorld, workersAndTelephones } from '../support/worker-world.ts';

describe('RFC 3261 §10.2: a registration with a carrier', () => {
  it('is made by one worker, and by the next one when that dies, with the same Call-ID and contact and a higher CSeq', async () => {
    const trunk = { name: 'carrier', to: ['127.0.5.1:5060'], pingSeconds: 0, user: 'trunk1', password: 'secret' };
    const workers = new WorkerWorld({ config: { domains: [domain], trunks: [{ ...trunk, register: true }] } });
    const { sip } = workers;
    // The calendar counts CSeq numbers, from 2024 on.
    sip.clock.steppedMs = 50_000_000_000;
    const carrier = await SimCarrier.at(sip.network, sip.clock, '127.0.5.1:5060', { algorithms: ['SHA-256'] });
    await workers.start(3);
    await sip.clock.advanceAsync(2_000);
    const field = (text: string, name: string): string =>
      new RegExp(`^${name}: (.*)$`, 'm').exec(text)?.[1]?.trim() ?? '';
    // Challenged, and once more with credentials.
    expect(carrier.of('REGISTER')).toHaveLength(2);
    const [, first = ''] = carrier.of('REGISTER');
    workers.kill(1);
    await sip.clock.advanceAsync(2_000);
    expect(carrier.of('REGISTER').length).toBeGreaterThan(2);
    const last = carrier.of('REGISTER').at(-1) ?? '';
    for (const name of ['Call-ID', 'Contact']) expect(field(last, name)).toBe(field(first, name));
    expect(Number.parseInt(field(last, 'CSeq'), 10)).toBeGreaterThan(Number.parseInt(field(first, 'CSeq'), 10));
    expect(field(last, 'Contact')).not.toContain('expires=0');
    const before = carrier.of('REGISTER').length;
    // A worker that is not the one dies: nobody registers for that.
    workers.kill(3);
    await sip.clock.advanceAsync(2_000);
    expect(carrier.of('REGISTER')).toHaveLength(before);
    expect(carrier.contacts.size).toBe(1);
    await sip.stop();
  });
});

describe('calls under way', () => {
  const openAt = (workers: WorkerWorld): readonly number[] =>
    [1, 2].map((index) => [...workers.worker(index).journal.open].length);

  async function call(ends: 'caller' | 'callee'): Promise<WorkerWorld> {
    const { workers, world, caller, callees } = await workersAndTelephones();
    const [callee] = callees;
    const hangUp: SimPhone | undefined = ends === 'caller' ? caller : callee;
    caller.call(`sip:bob@${domain}`);
    await world.clock.advanceAsync(5_000);
    // 127.0.3.1 is with the second worker.
    expect(openAt(workers)).toEqual([0, 1]);
    const [dialog] = [...(hangUp?.dialogs.values() ?? [])];
    if (dialog === undefined) throw new Error('no call');
    // In between, what is said in the dialog by the other side makes no second call of it.
    hangUp?.inDialog(dialog, 'UPDATE', () => undefined);
    await world.clock.advanceAsync(1_000);
    expect(openAt(workers)).toEqual([0, 1]);
    hangUp?.bye(dialog);
    await world.clock.advanceAsync(1_000);
    expect(openAt(workers)).toEqual([0, 0]);
    return workers;
  }

  it.each(['caller', 'callee'] as const)('end where they began, when the %s hangs up', async (ends) => {
    const workers = await call(ends);
    const ended = [1, 2].flatMap((index) => workers.worker(index).journal.ended());
    expect(ended).toHaveLength(1);
    expect(ended[0]?.outcome).toMatchObject({ reason: 'normal' });
    expect(ended[0]?.isAdopted).toBe(false);
    await workers.sip.stop();
  });

  it('whose worker is dead are shown to end by the one that hears of it', async () => {
    const { workers, world, caller } = await workersAndTelephones();
    caller.call(`sip:bob@${domain}`);
    await world.clock.advanceAsync(5_000);
    workers.kill(2);
    const [dialog] = [...caller.dialogs.values()];
    if (dialog !== undefined) caller.bye(dialog);
    await world.clock.advanceAsync(1_000);
    const ended = workers.worker(1).journal.ended();
    expect(ended).toHaveLength(1);
    expect(ended[0]?.isAdopted).toBe(true);
    await world.stop();
  });
});

describe('responses', () => {
  it('come to one worker and are handed to the one that sent the request, by `w` in our Via', async () => {
    const { workers, world, caller } = await workersAndTelephones();
    const vias: string[] = [];
    world.network.onPacket(({ to, bytes }) => {
      const text = bytes.toString('latin1');
      if (to.host === '127.0.3.2' && text.startsWith('INVITE')) vias.push(/^Via: .*$/m.exec(text)?.[0] ?? '');
    });
    caller.call(`sip:bob@${domain}`);
    await world.clock.advanceAsync(5_000);
    expect(vias).toHaveLength(1);
    expect(vias[0]).toMatch(new RegExp(`^Via: SIP/2\\.0/UDP ${hosts.primary.replaceAll('.', '\\.')}:5060;.*;w=2`));
    expect(caller.finals).toContain('INVITE 200');
    expect(workers.worker(1).handedOver()).toBeGreaterThan(0);
    expect(workers.worker(2).handedOver()).toBe(0);
    await world.stop();
  });
});

describe('a worker dies with an INVITE under way', () => {
  const packets = (world: SipWorld): string[] => {
    const seen: string[] = [];
    world.network.onPacket(({ from, to, bytes }) => {
      const [line = ''] = bytes.toString('latin1').split('\r\n', 1);
      seen.push(`${from.host} > ${to.host} ${line.replace('SIP/2.0 ', '').replace(/ SIP.*/, '')}`);
    });
    return seen;
  };
  const count = (seen: readonly string[], text: string): number => seen.filter((line) => line.includes(text)).length;

  it('an old sibling acknowledges the refusal, which is not repeated for half a minute', async () => {
    const { workers, world, caller, callees } = await workersAndTelephones();
    await world.clock.advanceAsync(3_600_000);
    for (const phone of [caller, ...callees]) phone.register();
    await world.clock.advanceAsync(100);
    for (const callee of callees) callee.answering = 'busy';
    const seen = packets(world);
    let isKilled = false;
    world.network.onPacket(({ to, bytes }) => {
      const text = bytes.toString('latin1');
      // The INVITE that the caller repeats is lost as well: nobody has its transaction any more.
      if (to.host === hosts.primary && text.startsWith('INVITE') && isKilled) return 'drop';
      if (to.host === '127.0.3.2' && text.startsWith('INVITE') && !isKilled) {
        isKilled = true;
        workers.kill(2);
      }
      return undefined;
    });
    caller.call(`sip:bob@${domain}`);
    await world.clock.advanceAsync(40_000);
    expect(caller.finals).toContain('INVITE 486');
    expect(count(seen, '127.0.3.2 > 127.0.2.1 486')).toBeLessThanOrEqual(3);
    await world.stop();
  });

  it('an INVITE that is repeated after its 2xx went back goes no further, and nothing provisional comes after the 2xx', async () => {
    const { workers, world, caller, callees } = await workersAndTelephones({ count: 3 });
    const seen = packets(world);
    let invite: { readonly bytes: Buffer } | undefined;
    let isKilled = false;
    world.network.onPacket(({ from, to, bytes }) => {
      const text = bytes.toString('latin1');
      if (from.host === '127.0.3.1' && text.startsWith('INVITE')) invite ??= { bytes: Buffer.from(bytes) };
      if (isKilled || to.host !== '127.0.3.2' || !text.startsWith('INVITE')) return;
      isKilled = true;
      // 127.0.3.1 is with the second of three, and then with the third.
      workers.kill(2);
    });
    caller.call(`sip:bob@${domain}`);
    for (let ms = 0; ms < 20_000 && !caller.finals.includes('INVITE 200'); ms += 10) await world.clock.advanceAsync(10);
    expect(caller.finals).toContain('INVITE 200');
    const answered = seen.length;
    const { host: proxy } = caller.options.proxy;
    const listener = await world.network
      .host('127.0.3.1')
      .bind(
        { transport: 'udp', host: '127.0.3.1', port: 40_000 },
        {},
        { received: () => undefined, failed: () => undefined },
      );
    listener.flowTo({ host: proxy, port: 5_060 }).send(invite?.bytes ?? Buffer.alloc(0));
    await world.clock.advanceAsync(2_000);
    const after = seen.slice(answered);
    expect(count(after, '127.0.3.1 > 127.0.2.1 INVITE')).toBe(1);
    expect(count(after, '127.0.2.1 > 127.0.3.2 INVITE')).toBe(0);
    expect(count(after, '100 Trying')).toBe(0);
    expect(callees[0]?.rung.size).toBe(1);
    await world.stop();
  });
});
