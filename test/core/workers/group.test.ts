/** Two and three workers over their real sockets in one process: who is handed what, who is asked, what all know. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Contact, type Flow, type Listener, Metrics, silentLog, systemClock } from '../../../src/internal.ts';
import { MemoryLocations } from '../../../src/location/memory.ts';
import { SharedLocations } from '../../../src/workers/shared-locations.ts';
import { WorkerGroup } from '../../../src/workers/worker-group.ts';

let directory = '';
const groups: WorkerGroup[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'altpath-group-'));
});
afterEach(() => {
  for (const group of groups.splice(0)) group.stop();
  rmSync(directory, { recursive: true, force: true });
});

class FakeListener implements Listener {
  readonly local;
  readonly connections = 0;
  readonly open = new Map<string, FakeFlow>();

  constructor(transport: 'udp' | 'tcp') {
    this.local = { transport, host: '192.0.2.1', port: 5_060 } as const;
  }

  flowTo(remote: { host: string; port: number }): Flow {
    return new FakeFlow(this, remote, '');
  }

  flowById(id: string): FakeFlow | undefined {
    return this.open.get(id);
  }

  connect(host: string, port: number, id: string): FakeFlow {
    const flow = new FakeFlow(this, { host, port }, id);
    this.open.set(id, flow);
    return flow;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

class FakeFlow implements Flow {
  readonly sent: string[] = [];
  readonly id: string;
  readonly remote;
  readonly #listener: FakeListener;

  constructor(listener: FakeListener, remote: { host: string; port: number }, id: string) {
    this.#listener = listener;
    this.remote = remote;
    this.id = id;
  }

  get local() {
    return this.#listener.local;
  }

  get transport() {
    return this.#listener.local.transport;
  }

  get reliable(): boolean {
    return this.transport === 'tcp';
  }

  send(bytes: Uint8Array): void {
    this.sent.push(Buffer.from(bytes).toString());
  }

  close(): void {}
}

interface Worker {
  readonly group: WorkerGroup;
  readonly udp: FakeListener;
  readonly tcp: FakeListener;
  readonly received: { readonly text: string; readonly flow: Flow }[];
  readonly failed: Flow[];
  readonly keys: Set<string>;
}

async function worker(index: number, life = `l${index}`, serves = true): Promise<Worker> {
  const self = { index, life, path: join(directory, life) };
  const group = new WorkerGroup({ self, clock: systemClock, log: silentLog, metrics: new Metrics() });
  groups.push(group);
  const made: Worker = {
    group,
    udp: new FakeListener('udp'),
    tcp: new FakeListener('tcp'),
    received: [],
    failed: [],
    keys: new Set(),
  };
  await group.start();
  if (serves) serve(made);
  return made;
}

/** Its sockets are bound. */
const serve = (made: Worker): void =>
  made.group.join('sip', {
    listeners: () => [made.udp, made.tcp],
    receive: (bytes, flow) => made.received.push({ text: bytes.toString(), flow }),
    failed: (flow) => made.failed.push(flow),
    has: (key) => made.keys.has(key),
  });

const addressOf = ({ group }: Worker) => ({
  index: group.index,
  life: group.life,
  path: join(directory, group.life),
});

async function meet(...workers: readonly Worker[]): Promise<void> {
  await Promise.all(workers.map(({ group }) => group.meet(workers.map(addressOf))));
}

const isSettled = (of: Worker, ...others: readonly Worker[]): Promise<void> =>
  until(() => others.every(({ group }) => of.group.isSettled(group.index, 'sip')));

async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 2_000 && !holds(); turn += 1) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(holds()).toBe(true);
}

describe('a datagram that is another worker’s', () => {
  it('is handed over with the way it came: the other answers from the same address', async () => {
    const [one, two] = [await worker(1), await worker(2)];
    await meet(one, two);
    await isSettled(one, two);
    const flow = one.udp.flowTo({ host: '198.51.100.7', port: 5_062 });
    expect(one.group.handOver(2, 'sip', Buffer.from('SIP/2.0 200 OK'), flow)).toBe(true);
    await until(() => two.received.length === 1);
    expect(two.received[0]?.text).toBe('SIP/2.0 200 OK');
    expect(two.received[0]?.flow.remote).toEqual({ host: '198.51.100.7', port: 5_062 });
    expect(two.received[0]?.flow.local).toBe(two.udp.local);
    expect(one.group.handOver(3, 'sip', Buffer.from('x'), flow)).toBe(false);
  });

  it('is not handed to a worker that has no sockets yet, and of one that was started anew siblings are asked first', async () => {
    const one = await worker(1);
    const two = await worker(2, 'l2', false);
    await meet(one, two);
    const flow = one.udp.flowTo({ host: '198.51.100.7', port: 5_062 });
    expect(one.group.isLiving(2)).toBe(true);
    expect(one.group.handOver(2, 'sip', Buffer.from('x'), flow)).toBe(false);
    serve(two);
    await isSettled(one, two);
    expect(one.group.handOver(2, 'sip', Buffer.from('y'), flow)).toBe(true);
    two.group.stop();
    await until(() => !one.group.isLiving(2));
    const again = await worker(2, 'l2b');
    await meet(one, again);
    await until(() => one.group.handOver(2, 'sip', Buffer.from('z'), flow));
    expect(one.group.isSettled(2, 'sip')).toBe(false);
  });
});

describe('a connection', () => {
  it('is used by every worker through the one that has it, and its end is told', async () => {
    const [one, two] = [await worker(1), await worker(2)];
    await meet(one, two);
    const connection = one.tcp.connect('198.51.100.8', 40_000, 'tcp-5');
    one.group.named('sip', connection);
    await until(() => two.group.flowOf('l1', 'tcp-5') !== undefined);
    const relayed = two.group.flowOf('l1', 'tcp-5');
    expect(relayed?.remote).toEqual({ host: '198.51.100.8', port: 40_000 });
    relayed?.send(Buffer.from('INVITE'));
    await until(() => connection.sent.length === 1);
    await isSettled(one, two);
    // What comes back over it and is the other's finds the same flow there.
    one.group.handOver(2, 'sip', Buffer.from('SIP/2.0 180 Ringing'), connection);
    await until(() => two.received.length === 1);
    expect(two.received[0]?.flow).toBe(relayed);
    one.group.ended(connection);
    await until(() => two.failed.length === 1);
    expect(two.group.flowOf('l1', 'tcp-5')).toBeUndefined();
    expect(relayed?.relayed?.isOpen).toBe(false);
  });

  it('of a worker that dies is gone for all, and of a new one known when it comes', async () => {
    const [one, two] = [await worker(1), await worker(2)];
    const connection = one.tcp.connect('198.51.100.8', 40_000, 'tcp-5');
    one.group.named('sip', connection);
    await meet(one, two);
    await until(() => two.group.flowOf('l1', 'tcp-5') !== undefined);
    expect(two.group.endedMs('l1')).toBeUndefined();
    one.group.stop();
    await until(() => two.failed.length === 1);
    expect(two.group.flowOf('l1', 'tcp-5')).toBeUndefined();
    expect(two.group.endedMs('l1')).toBeGreaterThan(0);
  });
});

describe('a connection that was there before a sibling', () => {
  it('is known to it although it was told of it before its own sockets were bound', async () => {
    const one = await worker(1);
    const connection = one.tcp.connect('198.51.100.8', 40_000, 'tcp-5');
    one.group.named('sip', connection);
    const two = await worker(2, 'l2', false);
    await meet(one, two);
    // What comes after it on the same connection: the name has been read.
    let isRead = false;
    two.group.share('test', { joined: () => undefined, received: () => (isRead = true) });
    one.group.note(2, 'test', []);
    await until(() => isRead);
    expect(two.group.flowOf('l1', 'tcp-5')).toBeUndefined();
    serve(two);
    two.group.flowOf('l1', 'tcp-5')?.send(Buffer.from('INVITE'));
    await until(() => connection.sent.length === 1);
  });
});

describe('a message without a transaction while workers come and go', () => {
  const ask = ({ group }: Worker, key: string): Promise<number | undefined> =>
    new Promise((resolve) => group.ask('sip', key, resolve));

  it('is the sibling’s that has one, else ours', async () => {
    const [one, two, three] = [await worker(1), await worker(2), await worker(3)];
    await meet(one, two, three);
    three.keys.add('s z9hG4bKabc 192.0.2.9:5060 INVITE');
    expect(one.group.isUnsettled('198.51.100.7')).toBe(true);
    expect(await ask(one, 's z9hG4bKabc 192.0.2.9:5060 INVITE')).toBe(3);
    expect(await ask(one, 's z9hG4bKxyz 192.0.2.9:5060 INVITE')).toBeUndefined();
    one.group.offer(
      'sip',
      's z9hG4bKabc 192.0.2.9:5060 INVITE',
      Buffer.from('ACK'),
      one.udp.flowTo({ host: '192.0.2.9', port: 1 }),
    );
    await until(() => three.received.length === 1);
    expect(two.received).toEqual([]);
    two.group.stop();
    three.group.stop();
    await until(() => one.group.living().length === 0);
    expect(await ask(one, 's z9hG4bKabc 192.0.2.9:5060 INVITE')).toBeUndefined();
    // What it had is nowhere now.
    expect(one.group.isUnsettled('198.51.100.7')).toBe(true);
  });
});

describe('registrations in memory', () => {
  const contact = (key: string, more: Partial<Contact> = {}): Contact => ({
    protocol: 'sip',
    target: `sip:alice@${key}`,
    key,
    path: [],
    alternates: [],
    q: 1_000,
    expiresMs: systemClock.now() + 600_000,
    updatedMs: systemClock.now(),
    ...more,
  });

  const shared = async ({ group }: Worker): Promise<SharedLocations> => {
    const inner = new MemoryLocations({ clock: systemClock });
    const made = new SharedLocations({ inner, workers: group, clock: systemClock, log: silentLog });
    await made.open();
    return made;
  };

  const keys = (locations: SharedLocations, record = 'alice@example.com'): readonly string[] =>
    locations
      .lookup(record)
      .map(({ key }) => key)
      .sort();

  it('are known to all; two of one record at two workers undo nothing, and removals hold', async () => {
    const [one, two] = [await worker(1), await worker(2)];
    await meet(one, two);
    const [first, second] = await Promise.all([shared(one), shared(two)]);
    await Promise.all([
      first.save('alice@example.com', [contact('a', { flow: 'token', cseq: 7, params: ';x=1' })]),
      second.save('alice@example.com', [contact('b')]),
    ]);
    await until(() => keys(first).length === 2 && keys(second).length === 2);
    expect(second.lookup('alice@example.com').find(({ key }) => key === 'a')).toMatchObject({
      flow: 'token',
      cseq: 7,
      params: ';x=1',
    });
    await second.save(
      'alice@example.com',
      second.lookup('alice@example.com').filter(({ key }) => key !== 'a'),
    );
    await until(() => keys(first).length === 1);
    expect(keys(first)).toEqual(['b']);
    await first.close();
    await second.close();
  });

  it('are told to a worker that starts, before it serves', async () => {
    const one = await worker(1);
    const first = await shared(one);
    for (let n = 0; n < 1_000; n += 1) await first.save(`user${n}@example.com`, [contact(`k${n}`)]);
    await first.save('line', [contact('l', { expiresMs: Number.POSITIVE_INFINITY, protocol: 'mgcp' })]);
    const two = await worker(2);
    await meet(one, two);
    const second = await shared(two);
    expect(second.size).toBe(1_001);
    const [told] = second.lookup('user999@example.com');
    expect(Math.abs((told?.expiresMs ?? 0) - systemClock.now() - 600_000)).toBeLessThan(60_000);
    expect(second.lookup('line')[0]?.expiresMs).toBe(Number.POSITIVE_INFINITY);
    await first.close();
    await second.close();
  });
});

describe('the worker that does what one does for all', () => {
  it('hears of it, and those that did', async () => {
    const one = await worker(1);
    const said: boolean[] = [];
    const stop = one.group.onLead((isLead) => said.push(isLead));
    one.group.setLead(2);
    one.group.setLead(2);
    one.group.setLead(1);
    stop();
    one.group.setLead(2);
    expect(said).toEqual([true, false, true]);
  });
});
