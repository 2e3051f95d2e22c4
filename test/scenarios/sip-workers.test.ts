/** Workers in ordinary operation: who registers with a carrier, which calls each of them shows, to whom what is not asked for goes. */
import { describe, expect, it } from 'vitest';
import { SimCarrier } from '../support/sip-carrier.ts';
import type { SimPhone } from '../support/sip-ua.ts';
import { domain, hosts } from '../support/sip-world.ts';
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
