/**
 * The primary is killed after every single message of a call between a SIP telephone and a line (docs/crossing-failover-cases.md). With
 * an edge proxy that follows the path attribute nothing is lost; of a telephone that is alone with the pair, calls that talk are kept.
 */
import { describe, expect, it } from 'vitest';
import { reached } from '../support/reached.ts';
import type { SimPhone } from '../support/sip-ua.ts';
import { backupHost, type CrossingOptions, CrossingWorld, primaryHost, sipDomain } from './crossing-world.ts';

const phoneHost = '127.0.0.31';

type How = 'crash' | 'silence';
type Script = (scene: Scene) => Promise<string | undefined>;

interface Scene {
  readonly world: CrossingWorld;
  readonly phone: SimPhone;
  readonly line: string;
  /** How long people talk: where nobody follows the path attribute, until the backup has shown itself. */
  readonly talkMs: number;
}

const lines = [
  ['an MGCP line', '200'],
  ['a MEGACO line', '300'],
] as const;

describe('killed after every message, telephone behind an edge: nothing is lost', () => {
  for (const [name, line] of lines) {
    it(`SIP calls ${name}`, async () => {
      expect(await everyMessage(phoneCalls, line, 'crash')).toBeGreaterThan(20);
    });
    it(`${name} calls SIP`, async () => {
      expect(await everyMessage(lineCalls, line, 'crash')).toBeGreaterThan(20);
    });
    it(`SIP calls ${name}, the primary falls silent`, async () => {
      expect(await everyMessage(phoneCalls, line, 'silence')).toBeGreaterThan(20);
    });
    it(`${name} calls SIP, the primary falls silent`, async () => {
      expect(await everyMessage(lineCalls, line, 'silence')).toBeGreaterThan(20);
    });
    it(`SIP calls ${name}, whose gateway keeps no records`, async () => {
      expect(await everyMessage(phoneCalls, line, 'crash', { records: 'forgets' })).toBeGreaterThan(20);
    });
    it(`${name} calls SIP, and its gateway keeps no records`, async () => {
      expect(await everyMessage(lineCalls, line, 'crash', { records: 'forgets' })).toBeGreaterThan(20);
    });
    it(`SIP calls ${name}, the line hangs up`, async () => {
      expect(await everyMessage(lineHangsUp, line, 'crash')).toBeGreaterThan(20);
    });
    it(`SIP calls ${name} and gives up while it rings`, async () => {
      expect(await everyMessage(phoneGivesUp, line, 'crash')).toBeGreaterThan(10);
    });
    it(`${name} calls SIP and gives up while it rings`, async () => {
      expect(await everyMessage(lineGivesUp, line, 'crash')).toBeGreaterThan(10);
    });
    it(`${name} calls SIP, which is busy`, async () => {
      expect(await everyMessage(phoneIsBusy, line, 'crash')).toBeGreaterThan(10);
    });
  }
});

describe('killed after every message, telephone alone with the pair: what rings or talks is kept', () => {
  for (const [name, line] of lines) {
    it(`SIP calls ${name}`, async () => {
      expect(await everyMessage(phoneCalls, line, 'crash', { edge: false })).toBeGreaterThan(20);
    });
    it(`${name} calls SIP`, async () => {
      expect(await everyMessage(lineCalls, line, 'crash', { edge: false })).toBeGreaterThan(20);
    });
  }
});

/** Plays the script once for each message, until the kill comes after its end. Returns how many messages it has. */
async function everyMessage(script: Script, line: string, how: How, options: CrossingOptions = {}): Promise<number> {
  const failures: string[] = [];
  for (let at = 1; at < 300; at += 1) {
    const outcome = await play(at, script, line, how, { edge: true, ...options });
    if (outcome === 'notReached') {
      expect(failures).toEqual([]);
      return at - 1;
    }
    if (outcome !== undefined) failures.push(`message ${at}: ${outcome}`);
  }
  throw new Error('the call never ends');
}

async function play(
  at: number,
  script: Script,
  line: string,
  how: How,
  options: CrossingOptions,
): Promise<string | undefined> {
  const world = await CrossingWorld.up({ sip: {}, ...options });
  const model = options.edge === false ? { model: 'linphone' as const } : {};
  const phone = await world.phone('7001', phoneHost, { answering: 'answer', ringMs: 1_000, ...model });
  const scene = { world, phone, line, talkMs: options.edge === false ? 40_000 : 700 };
  let count = 0;
  let killed: string | undefined;
  let talked = false;
  let rang = false;
  world.network.onPacket((packet) => {
    if (killed !== undefined || isBetweenMembers(packet)) return;
    count += 1;
    if (count !== at) return;
    const { from, to, bytes } = packet;
    killed = `${from.host} > ${to.host} ${bytes.toString('latin1').replace(/\s+/g, ' ').slice(0, 90)}`;
    talked = isTalking(scene);
    // Of a call that it made and whose line rings, also a telephone that is alone with the pair hears the answer; and one that rings is
    // asked whether it has answered.
    rang = script === phoneCalls ? phone.hasHeard180 : world.telephone(line).hears() === 'ringback';
    if (how === 'silence') world.network.silence(primaryHost);
    world.kill(primaryHost);
  });
  try {
    const failure = await script(scene);
    if (failure === undefined && killed === undefined) return 'notReached';
    // A telephone that follows nothing and hangs up before the backup has shown itself tells nobody but the dead.
    const isUnheard = killed?.includes(' BYE ') === true;
    const mayBeLost = options.edge === false && ((!talked && !rang) || isUnheard);
    if (failure !== undefined && !mayBeLost) return `${failure} (killed at ${killed ?? 'the end'})`;
    // Nothing of it may be left, however it went.
    world.telephone(line).onHook();
    await world.run(45_000);
    if (!world.telephone(line).isIdle()) return `the line is not idle (killed at ${killed})`;
    if (world.calls(backupHost) > 0) return `calls are left (killed at ${killed})`;
    if (mayBeLost) return undefined;
    if (phone.complaints.length > 0) return `${phone.complaints.join(', ')} (killed at ${killed})`;
    return undefined;
  } finally {
    await world.stop();
  }
}

async function phoneCalls(scene: Scene): Promise<string | undefined> {
  return (await answered(scene)) ?? (await phoneHangsUp(scene));
}

async function lineHangsUp(scene: Scene): Promise<string | undefined> {
  const { world, phone, line } = scene;
  const failure = await answered(scene);
  if (failure !== undefined) return failure;
  world.telephone(line).onHook();
  const isOver = await until(world, () => confirmed(phone) === undefined);
  return isOver ? undefined : 'the telephone does not hear that the call is over';
}

async function answered(scene: Scene): Promise<string | undefined> {
  const { world, phone, line } = scene;
  let final: number | undefined;
  phone.call(`sip:${line}@${sipDomain}`, (status) => {
    final = status;
  });
  if (!(await until(world, () => world.telephone(line).hears() === 'ring' || final !== undefined)))
    return 'it does not ring';
  if (final !== undefined) return `refused with ${final}`;
  await world.run(300);
  world.telephone(line).offHook();
  if (!(await until(world, () => isTalking(scene)))) return `no speech: INVITE ${final}`;
  await world.run(scene.talkMs);
  return undefined;
}

async function lineCalls(scene: Scene): Promise<string | undefined> {
  const { world } = scene;
  const failure = await dialled(scene, () => isTalking(scene));
  if (failure !== undefined) return failure;
  await world.run(scene.talkMs);
  return phoneHangsUp(scene);
}

async function phoneHangsUp(scene: Scene): Promise<string | undefined> {
  const { world, phone, line } = scene;
  if (!isTalking(scene)) return 'speech has ended';
  const dialog = confirmed(phone);
  if (dialog === undefined) return 'no dialog';
  let status: number | undefined;
  phone.bye(dialog, (final) => {
    status = final;
  });
  if (!(await until(world, () => status !== undefined))) return 'BYE has no answer';
  // 481: the backup has learnt by its own request that the telephone has left.
  if (status !== 200 && status !== 481) return `BYE ${status}`;
  const isHeard = await until(world, () => world.telephone(line).hears() === 'busy');
  return isHeard ? undefined : `the line hears ${world.telephone(line).hears()} after the call`;
}

async function phoneGivesUp({ world, phone, line }: Scene): Promise<string | undefined> {
  let final: number | undefined;
  const callId = phone.call(`sip:${line}@${sipDomain}`, (status) => {
    final = status;
  });
  if (!(await until(world, () => world.telephone(line).hears() === 'ring'))) return 'it does not ring';
  await world.run(300);
  phone.cancel(callId);
  if (!(await until(world, () => final !== undefined))) return 'no final response';
  if (final !== 487) return `refused with ${final}`;
  return (await until(world, () => world.telephone(line).isIdle())) ? undefined : 'the line goes on ringing';
}

async function lineGivesUp(scene: Scene): Promise<string | undefined> {
  const { world, phone, line } = scene;
  phone.answering = 'ring';
  const failure = await dialled(scene, () => phone.ringing.size > 0 && world.telephone(line).hears() === 'ringback');
  if (failure !== undefined) return failure;
  await world.run(300);
  world.telephone(line).onHook();
  const isOver = await until(world, () => [...phone.dialogs.values()].every(({ state }) => state === 'ended'));
  return isOver ? undefined : 'the telephone goes on ringing';
}

async function phoneIsBusy(scene: Scene): Promise<string | undefined> {
  const { world, phone, line } = scene;
  phone.answering = 'busy';
  return dialled(scene, () => world.telephone(line).hears() === 'busy' && phone.rung.size > 0);
}

/** The line is lifted and dials, again if there is dial tone again; until what is wanted has come. */
async function dialled({ world, line }: Scene, holds: () => boolean): Promise<string | undefined> {
  const telephone = world.telephone(line);
  telephone.offHook();
  if (!(await until(world, () => telephone.hears() === 'dial'))) return `no dial tone but ${telephone.hears()}`;
  for (let attempt = 0; attempt < 3; attempt += 1) {
    telephone.dial('7001');
    await world.run(600);
    const isOver = (): boolean => holds() || telephone.hears() === 'dial';
    if (!(await until(world, isOver, 60_000))) return `hears ${telephone.hears()}`;
    if (holds()) return undefined;
  }
  return 'dial tone, again and again';
}

const isTalking = ({ world, phone, line }: Scene): boolean =>
  world.telephone(line).media().sendsTo === '127.0.0.1:40000' && confirmed(phone) !== undefined;

const confirmed = (phone: SimPhone) => [...phone.dialogs.values()].find(({ state }) => state === 'confirmed');

const members: ReadonlySet<string> = new Set([primaryHost, backupHost]);

const isBetweenMembers = ({ from, to }: { from: { host: string }; to: { host: string } }): boolean =>
  members.has(from.host) && members.has(to.host);

const until = (world: CrossingWorld, holds: () => boolean, limitMs = 40_000): Promise<boolean> =>
  reached(world, holds, limitMs, 50);
