/**
 * Calls between a SIP telephone, MGCP lines and MEGACO lines on simulated time and a network in memory: what the controller itself costs,
 * without sockets; what the sealed record adds; a thousand calls that are taken over; and what a hundred thousand leave behind.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  backupHost,
  type CrossingOptions,
  CrossingWorld,
  primaryHost,
  sipDomain,
} from '../test/scenarios/crossing-world.ts';
import type { MemoryNetwork } from '../test/support/memory-network.ts';
import type { SimPhone } from '../test/support/sip-ua.ts';
import type { BenchOptions, Row, Suite, SuiteReport } from './support/suite.ts';

export const suite: Suite = {
  name: 'crossing',
  title: 'Calls between SIP, MGCP and MEGACO (simulated time; the controller alone, without sockets)',
  works: ['call', 'record', 'takeover', 'soak'],
  byDefault: false,
  run,
};

const phoneHost = '127.0.0.31';

async function run(options: BenchOptions): Promise<SuiteReport> {
  const works = options.work ?? suite.works;
  const rows: Row[] = [];
  const notes: string[] = [];
  if (works.includes('call'))
    for (const kind of kinds) {
      options.log(kind.name);
      const calls = options.calls ?? (options.quick ? 300 : 3_000);
      const values: number[] = [];
      for (let round = 0; round < (options.runs ?? (options.quick ? 1 : 3)); round += 1)
        values.push(await costOf(kind, calls));
      rows.push({ what: `call ${kind.name}`, unit: 'µs', better: 'lower', ours: { values, faults: [] } });
    }
  if (works.includes('record')) {
    options.log('record');
    const { octets, sealMicroseconds, openMicroseconds } = await recordCost();
    const row = (what: string, unit: string, value: number): Row => ({
      what,
      unit,
      better: 'lower',
      ours: { values: [value], faults: [] },
    });
    rows.push(
      row('sealed record beside a description', 'octets', octets),
      row('sealing a record', 'µs', sealMicroseconds),
      row('opening a record', 'µs', openMicroseconds),
    );
  }
  if (works.includes('takeover')) {
    options.log('takeover');
    const { rows: more, note } = await takeOver(options.calls ?? (options.quick ? 100 : 1_000));
    rows.push(...more);
    notes.push(note);
  }
  if (works.includes('soak')) notes.push(await soak(options.calls ?? (options.quick ? 2_000 : 100_000), options.log));
  return { rows, notes };
}

interface Kind {
  readonly name: string;
  readonly call: (world: CrossingWorld, phone: SimPhone) => Promise<boolean>;
}

const kinds: readonly Kind[] = [
  { name: 'SIP → MGCP', call: (world, phone) => phoneCalls(world, phone, '200') },
  { name: 'SIP → MEGACO', call: (world, phone) => phoneCalls(world, phone, '300') },
  { name: 'MGCP → SIP', call: (world) => lineCalls(world, '200', '7001') },
  { name: 'MGCP → MEGACO', call: (world) => lineCalls(world, '200', '300') },
];

async function phoneCalls(world: CrossingWorld, phone: SimPhone, number: string): Promise<boolean> {
  const line = world.telephone(number);
  const callId = phone.call(`sip:${number}@${sipDomain}`);
  await world.run(100);
  line.offHook();
  await world.run(100);
  const dialog = phone.dialog(callId);
  if (dialog?.state !== 'confirmed') return false;
  phone.bye(dialog);
  await world.run(50);
  line.onHook();
  await world.run(100);
  return line.isIdle();
}

async function lineCalls(world: CrossingWorld, from: string, to: string): Promise<boolean> {
  const line = world.telephone(from);
  line.offHook();
  await world.run(50);
  line.dial(to);
  await world.run(150);
  if (to === '300') world.telephone(to).offHook();
  await world.run(200);
  const talked = line.media().sendsTo !== undefined;
  line.onHook();
  if (to === '300') world.telephone(to).onHook();
  await world.run(200);
  return talked && line.isIdle();
}

/** Processor time, whatever else the machine does. */
function microseconds(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

/** Time in what the primary's sockets and timers run, for each call. */
async function costOf({ name, call }: Kind, calls: number): Promise<number> {
  const meter = new Meter();
  const world = await CrossingWorld.up({ ...options, metered: (host, network) => meter.of(host, network) });
  const phone = await world.phone('7001', phoneHost, { answering: 'answer', ringMs: 10 });
  let failed = 0;
  const some = async (count: number): Promise<void> => {
    for (let done = 0; done < count; done += 1) {
      if (!(await call(world, phone))) failed += 1;
      if (done % 100 === 99) phone.forget();
    }
  };
  await some(Math.ceil(calls / 3));
  meter.microseconds = 0;
  await some(calls);
  const spent = meter.microseconds / calls;
  await world.stop();
  if (failed > 0) throw new Error(`${name}: ${failed} calls failed`);
  return spent;
}

const options: CrossingOptions = { sip: {}, keepsPackets: false };

type Host = ReturnType<MemoryNetwork['host']>;

class Meter {
  microseconds = 0;

  of(host: string, network: Host): Host {
    if (host !== primaryHost) return network;
    const timed = <A extends unknown[]>(call: (...args: A) => void) => {
      return (...args: A): void => {
        const before = microseconds();
        call(...args);
        this.microseconds += microseconds() - before;
      };
    };
    const { clock } = network;
    const timedClock = Object.assign(Object.create(clock), {
      after: (ms: number, call: () => void) => clock.after(ms, timed(call)),
    });
    return Object.assign(Object.create(network), {
      clock: timedClock,
      bind: (...[address, settings, user]: Parameters<Host['bind']>) =>
        network.bind(address, settings, { ...user, received: timed(user.received.bind(user)) }),
    });
  }
}

async function recordCost() {
  const world = await CrossingWorld.up({ sip: {} });
  const phone = await world.phone('7001', phoneHost, { answering: 'answer', ringMs: 10 });
  let octets = 0;
  for (const number of ['200', '300', '200']) {
    phone.call(`sip:${number}@${sipDomain}`);
    await world.run(200);
    world.telephone(number).offHook();
    await world.run(200);
    world.telephone(number).onHook();
    await world.run(500);
  }
  for (const { bytes } of world.packets) {
    const [line] = /a=x-altpath:[^\r\n]*\r?\n/.exec(bytes.toString('latin1')) ?? [];
    if (line !== undefined) octets = Math.max(octets, line.length);
  }
  const seal = world.services.get(primaryHost)?.callControl.records?.seal;
  await world.stop();
  if (seal === undefined) throw new Error('no records');
  const place = { gateway: 'rgw1', endpoint: 'aaln/1@rgw1', callId: '4D896C94D76741B6200EFFFFFFFFFFFF' };
  const record = {
    protocol: 'sip',
    side: 'caller' as const,
    phase: 'talking' as const,
    callId: place.callId,
    number: '200',
    fields: [
      '1180;uac',
      '314159',
      'a84b4c76e66710@192.0.2.17',
      '1928301774',
      '<sip:200@example.com>',
      '"Anna Example" <sip:7001@example.com>',
      'sip:7001@192.0.2.17:5060',
      '',
      '<sip:192.0.2.9:5060;lr>',
      '',
      '1',
    ],
  };
  const times = 10_000;
  let sealed = seal.seal(record, place);
  const before = microseconds();
  for (let i = 0; i < times; i += 1) sealed = seal.seal(record, place);
  const between = microseconds();
  for (let i = 0; i < times; i += 1) if (sealed !== undefined) seal.open(sealed, place);
  const after = microseconds();
  return {
    octets,
    sealMicroseconds: (between - before) / times,
    openMicroseconds: (after - between) / times,
  };
}

/** Talking calls of one telephone with as many lines, and the primary dies: until the backup has them all and has told the telephone. */
async function takeOver(calls: number): Promise<{ rows: Row[]; note: string }> {
  const world = await CrossingWorld.up({ ...options, lines: calls });
  const phone = await world.phone('7001', phoneHost);
  for (let index = 1; index <= calls; index += 1) {
    phone.call(`sip:${20_000 + index}@${sipDomain}`);
    if (index % 20 === 0) await world.run(100);
  }
  await world.run(2_000);
  for (let index = 1; index <= calls; index += 1) {
    world.mgcp?.line(index)?.offHook();
    if (index % 20 === 0) await world.run(100);
  }
  await world.run(10_000);
  const confirmed = (): number => [...phone.dialogs.values()].filter(({ state }) => state === 'confirmed').length;
  const talked = confirmed();
  let refreshed = 0;
  phone.onRequest = ({ method }) => {
    if (method === 'INVITE') refreshed += 1;
  };
  world.kill(primaryHost);
  const began = process.cpuUsage();
  let peak = 0;
  let takenMs = -1;
  let toldMs = -1;
  for (let second = 1; second <= 120 && toldMs < 0; second += 1) {
    const before = process.cpuUsage();
    for (let part = 1; part <= 10; part += 1) {
      await world.run(100);
      const nowMs = (second - 1) * 1_000 + part * 100;
      if (takenMs < 0 && world.calls(backupHost) >= talked) takenMs = nowMs;
      if (toldMs < 0 && refreshed >= talked) toldMs = nowMs;
    }
    const { user, system } = process.cpuUsage(before);
    peak = Math.max(peak, (user + system) / 1_000);
  }
  const { user, system } = process.cpuUsage(began);
  const kept = confirmed();
  await world.stop();
  const faults = kept < talked ? [`${talked - kept} of ${talked} calls lost`] : [];
  const row = (what: string, unit: string, value: number): Row => ({
    what,
    unit,
    better: 'lower',
    ours: { values: [value], faults },
  });
  return {
    rows: [
      row(`${talked} talking calls taken over after`, 'ms', takenMs),
      row('... and their telephone told of all after', 'ms', toldMs),
      row('processor time for it, gateway and telephone included', 'ms', (user + system) / 1_000),
      row('busiest second', 'ms', peak),
    ],
    note: 'takeover: speech goes on meanwhile, from gateway to telephone; the target refreshes are paced to 100 a second',
  };
}

/** Heap, transactions and connections after so many calls. */
async function soak(calls: number, log: (line: string) => void): Promise<string> {
  const world = await CrossingWorld.up(options);
  const phone = await world.phone('7001', phoneHost, { answering: 'answer', ringMs: 10 });
  const gauges = async (): Promise<string> => {
    phone.forget();
    await world.run(70_000);
    phone.forget();
    const text = (await world.services.get(primaryHost)?.metrics.text()) ?? '';
    const value = (name: string): string =>
      new RegExp(`^altpath_${name}(?:\\{[^}]*\\})? (\\S+)`, 'm').exec(text)?.[1] ?? '?';
    collect();
    const heap = (process.memoryUsage().heapUsed / 1_048_576).toFixed(1);
    const connections = [1, 2].reduce((sum, index) => sum + (world.mgcp?.line(index)?.connections.size ?? 0), 0);
    const contexts = world.megaco?.lines.filter(({ contextId }) => contextId !== 0).length;
    return `heap ${heap} MiB, SIP transactions ${value('sip_transactions')}, dialogs ${value('sip_dialogs')}, MGCP connections ${connections}, MEGACO contexts ${contexts}`;
  };
  let failed = 0;
  const some = async (count: number): Promise<void> => {
    for (let done = 0; done < count; done += 1) {
      const kind = kinds[done % kinds.length];
      if (kind !== undefined && !(await kind.call(world, phone))) failed += 1;
      if (done % 100 === 99) phone.forget();
      if (done % 10_000 === 9_999) log(`soak: ${done + 1} calls`);
    }
  };
  await some(Math.min(2_000, calls));
  const before = await gauges();
  await some(calls);
  const after = await gauges();
  await world.stop();
  return `soak, ${calls} calls, ${failed} failed; before: ${before}; after: ${after}`;
}

function collect(): void {
  setFlagsFromString('--expose_gc');
  const gc: unknown = runInNewContext('gc');
  if (typeof gc === 'function') for (let i = 0; i < 3; i += 1) gc();
}
