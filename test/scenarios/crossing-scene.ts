/** A SIP telephone and a line, what people do with them, and the primary that is killed after one of the messages of that. */
import type { MemoryPacket } from '../support/memory-network.ts';
import { reached } from '../support/reached.ts';
import type { PhoneOptions, SimPhone } from '../support/sip-ua.ts';
import { backupHost, type CrossingOptions, CrossingWorld, primaryHost, sipDomain } from './crossing-world.ts';

export const phoneHost = '127.0.0.31';

export type How = 'crash' | 'silence';
export type Script = (scene: Scene) => Promise<string | undefined>;

export interface Scene {
  readonly world: CrossingWorld;
  readonly phone: SimPhone;
  readonly line: string;
  /** How long people talk: where nobody follows the path attribute, until the backup has shown itself. */
  readonly talkMs: number;
  /** Other telephones of the same user ring as well. */
  isForked?: boolean;
}

export const lines = [
  ['an MGCP line', '200'],
  ['a MEGACO line', '300'],
] as const;

export interface Choice {
  readonly phone?: Partial<PhoneOptions>;
  /** What has come to rest is not watched for three quarters of a minute more. */
  readonly isHasty?: boolean;
  /** After each message that was played. */
  readonly pause?: () => Promise<void>;
  /** Every so many messages, from this one on. */
  readonly every?: number;
  readonly first?: number;
  /** What follows is like what was. */
  readonly last?: number | undefined;
}

/** Plays the script once for each message, until the kill comes after its end. Returns how many messages it has. */
export async function everyMessage(
  script: Script,
  line: string,
  how: How,
  options: CrossingOptions = {},
  choice: Choice = {},
): Promise<number> {
  const { played, failures, isWhole } = await playAll(script, line, how, options, choice);
  if (failures.length > 0) throw new Error(failures.join('\n'));
  if (!isWhole && (choice.last ?? 400) === 400) throw new Error('the call never ends');
  return played;
}

export interface Played {
  readonly played: number;
  readonly failures: readonly string[];
  /** The script has no more messages. */
  readonly isWhole: boolean;
}

export async function playAll(
  script: Script,
  line: string,
  how: How,
  options: CrossingOptions = {},
  { phone = {}, every = 1, first = 1, last = 400, isHasty = false, pause }: Choice = {},
): Promise<Played> {
  const failures: string[] = [];
  let played = 0;
  for (let at = first; at <= last; at += every) {
    const outcome = await play(at, script, line, how, { edge: true, ...options }, phone, isHasty);
    if (outcome === 'notReached') return { played, failures, isWhole: true };
    played += 1;
    if (outcome !== undefined) failures.push(`message ${at}: ${outcome}`);
    await pause?.();
  }
  return { played, failures, isWhole: false };
}

async function play(
  at: number,
  script: Script,
  line: string,
  how: How,
  options: CrossingOptions,
  phoneOptions: Partial<PhoneOptions>,
  isHasty: boolean,
): Promise<string | undefined> {
  const world = await CrossingWorld.up({ sip: {}, ...options });
  const model = options.edge === false ? { model: 'linphone' as const } : {};
  const phone = await world.phone('7001', phoneHost, { answering: 'answer', ringMs: 1_000, ...model, ...phoneOptions });
  const scene: Scene = { world, phone, line, talkMs: options.edge === false ? 40_000 : 700 };
  let count = 0;
  let killed: string | undefined;
  let talked = false;
  let rang = false;
  let isUnheard = false;
  world.network.onPacket((packet) => {
    if (killed !== undefined && asksTheDead(packet)) isUnheard = true;
    if (killed !== undefined || isBetweenMembers(packet)) return;
    count += 1;
    if (count !== at) return;
    const { from, to, bytes } = packet;
    killed = `${from.host} > ${to.host} ${bytes.toString('latin1').replace(/\s+/g, ' ').slice(0, 90)}`;
    talked = isTalking(scene);
    // Of a call that it made and whose line rings, also a telephone that is alone with the pair hears the answer; and one that rings is
    // asked whether it has answered.
    // Which of several will answer nobody knows: one is asked.
    rang = phone.hasHeard180 || (world.telephone(line).hears() === 'ringback' && scene.isForked !== true);
    // A telephone that follows nothing tells nobody but the dead what it wants, until the backup has shown itself.
    isUnheard = phone.isAsking;
    if (how === 'silence') world.network.silence(primaryHost);
    world.kill(primaryHost);
  });
  try {
    const failure = await script(scene);
    if (failure === undefined && killed === undefined) return 'notReached';
    const mayBeLost = options.edge === false && ((!talked && !rang) || isUnheard);
    if (failure !== undefined && !mayBeLost) return `${failure} (killed at ${killed ?? 'the end'})`;
    // Nothing of it may be left, however it went.
    world.telephone(line).onHook();
    const isAtRest = (): boolean => world.telephone(line).isIdle() && world.calls(backupHost) === 0 && phone.busy === 0;
    if (!isHasty) await world.run(45_000);
    else if (await until(world, isAtRest, 45_000)) await world.run(3_000);
    // A caller who gave up could tell the dead only: the bell rings until the call has waited long enough.
    if (mayBeLost) await until(world, () => world.telephone(line).isIdle(), 200_000);
    if (!world.telephone(line).isIdle()) return `the line is not idle (killed at ${killed})`;
    if (world.calls(backupHost) > 0) return `calls are left (killed at ${killed})`;
    if (mayBeLost) return undefined;
    if (phone.complaints.length > 0) return `${phone.complaints.join(', ')} (killed at ${killed})`;
    return undefined;
  } finally {
    await world.stop();
  }
}

export async function phoneCalls(scene: Scene): Promise<string | undefined> {
  return (await answered(scene)) ?? (await phoneHangsUp(scene));
}

export async function lineHangsUp(scene: Scene): Promise<string | undefined> {
  const { world, phone, line } = scene;
  const failure = await answered(scene);
  if (failure !== undefined) return failure;
  world.telephone(line).onHook();
  const isOver = await until(world, () => confirmed(phone) === undefined);
  return isOver ? undefined : 'the telephone does not hear that the call is over';
}

export async function answered(scene: Scene, isOfferless = false): Promise<string | undefined> {
  const { world, phone, line } = scene;
  let final: number | undefined;
  phone.call(
    `sip:${line}@${sipDomain}`,
    (status) => {
      final = status;
    },
    undefined,
    { isOfferless },
  );
  if (!(await until(world, () => world.telephone(line).hears() === 'ring' || final !== undefined)))
    return 'it does not ring';
  if (final !== undefined) return `refused with ${final}`;
  await world.run(300);
  world.telephone(line).offHook();
  if (!(await until(world, () => isTalking(scene)))) return `no speech: INVITE ${final}`;
  await world.run(scene.talkMs);
  return undefined;
}

export async function lineCalls(scene: Scene): Promise<string | undefined> {
  const { world } = scene;
  const failure = await dialled(scene, () => isTalking(scene));
  if (failure !== undefined) return failure;
  await world.run(scene.talkMs);
  return phoneHangsUp(scene);
}

export async function phoneHangsUp(scene: Scene): Promise<string | undefined> {
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

export async function phoneGivesUp({ world, phone, line }: Scene): Promise<string | undefined> {
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

export async function lineGivesUp(scene: Scene): Promise<string | undefined> {
  const { world, phone, line } = scene;
  phone.answering = 'ring';
  const failure = await dialled(scene, () => phone.ringing.size > 0 && world.telephone(line).hears() === 'ringback');
  if (failure !== undefined) return failure;
  await world.run(300);
  world.telephone(line).onHook();
  const isOver = await until(world, () => [...phone.dialogs.values()].every(({ state }) => state === 'ended'));
  return isOver ? undefined : 'the telephone goes on ringing';
}

export async function phoneIsBusy(scene: Scene): Promise<string | undefined> {
  const { world, phone, line } = scene;
  phone.answering = 'busy';
  return dialled(scene, () => world.telephone(line).hears() === 'busy' && phone.rung.size > 0);
}

/** Somebody has lifted the line already, and only listens. */
export async function lineIsBusy({ world, phone, line }: Scene): Promise<string | undefined> {
  const telephone = world.telephone(line);
  telephone.offHook();
  if (!(await until(world, () => telephone.hears() === 'dial'))) return `no dial tone but ${telephone.hears()}`;
  let final: number | undefined;
  phone.call(`sip:${line}@${sipDomain}`, (status) => {
    final = status;
  });
  if (!(await until(world, () => final !== undefined))) return 'no final response';
  if (final !== 486) return `refused with ${final}`;
  telephone.onHook();
  return (await until(world, () => telephone.isIdle())) ? undefined : 'the line is not idle after that';
}

/** The line is lifted and dials, again if there is dial tone again; until what is wanted has come. */
export async function dialled({ world, line }: Scene, holds: () => boolean): Promise<string | undefined> {
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

export const holds = (caller: Caller): Script => talkingThen(caller, holdAndResume);

/** Held and resumed without a pause, so that it meets whatever the controllers ask of the telephone (RFC 3261 §14.1). */
export const glares = (caller: Caller): Script =>
  talkingThen(caller, async (scene) => {
    for (let turn = 0; turn < 4; turn += 1) {
      const failure = await holdAndResume(scene);
      if (failure !== undefined) return failure;
    }
    return undefined;
  });

export const pressesKey = (caller: Caller): Script =>
  talkingThen(caller, async (scene) => {
    for (const key of '53') {
      const body = `Signal=${key}\r\nDuration=160\r\n`;
      const status = await asks(scene, 'INFO', 'Content-Type: application/dtmf-relay\r\n', body);
      if (status !== 200) return `INFO ${status}`;
    }
    return undefined;
  });

/** An INVITE without an offer: the line makes it, and the answer is in the ACK. */
export async function phoneCallsWithoutOffer(scene: Scene): Promise<string | undefined> {
  return (await answered(scene, true)) ?? (await phoneHangsUp(scene));
}

/** Another telephone of the same user rings as well, and is let go. */
export async function lineCallsTwo(scene: Scene): Promise<string | undefined> {
  const { world } = scene;
  scene.isForked = true;
  const other = await world.phone('7001', '127.0.0.32', { answering: 'ring' });
  const failure = await lineCalls(scene);
  if (failure !== undefined) return failure;
  if (!(await until(world, () => other.ringing.size === 0))) return 'the other telephone goes on ringing';
  return other.complaints.length > 0 ? `the other telephone: ${other.complaints.join(', ')}` : undefined;
}

/** Nobody lifts at the line. */
export async function lineIsNotAnswered({ world, phone, line }: Scene): Promise<string | undefined> {
  let final: number | undefined;
  phone.call(`sip:${line}@${sipDomain}`, (status) => {
    final = status;
  });
  if (!(await until(world, () => world.telephone(line).hears() === 'ring'))) return 'it does not ring';
  if (!(await until(world, () => final !== undefined, 250_000))) return 'no final response';
  if (final !== 480) return `refused with ${final}`;
  return (await until(world, () => world.telephone(line).isIdle())) ? undefined : 'the line goes on ringing';
}

/** Nobody lifts at the telephone. */
export async function phoneIsNotAnswered(scene: Scene): Promise<string | undefined> {
  const { world, phone, line } = scene;
  phone.answering = 'ring';
  const failure = await dialled(scene, () => phone.ringing.size > 0 && world.telephone(line).hears() === 'ringback');
  if (failure !== undefined) return failure;
  // How long it has rung the backup does not know: an edge may lose its patience first (RFC 3261 §16.6 item 11, Timer C).
  if (!(await until(world, () => ['busy', 'reorder'].includes(world.telephone(line).hears()), 250_000)))
    return `hears ${world.telephone(line).hears()}`;
  return (await until(world, () => phone.ringing.size === 0)) ? undefined : 'the telephone goes on ringing';
}

type Caller = 'phone' | 'line';

const talkingThen =
  (caller: Caller, act: Script): Script =>
  async (scene) => {
    const { world } = scene;
    const begun = caller === 'phone' ? await answered(scene) : await dialled(scene, () => isTalking(scene));
    if (begun !== undefined) return begun;
    if (caller === 'line') await world.run(scene.talkMs);
    return (await act(scene)) ?? (await phoneHangsUp(scene));
  };

async function holdAndResume(scene: Scene): Promise<string | undefined> {
  const { world, line } = scene;
  const held = await asks(scene, 'INVITE', '', holding);
  if (held !== 200) return `hold ${held}`;
  if (!(await until(world, () => world.telephone(line).media().sendsTo === undefined, 5_000))) return 'it is not held';
  await world.run(scene.talkMs);
  const resumed = await asks(scene, 'INVITE');
  if (resumed !== 200) return `resume ${resumed}`;
  return (await until(world, () => isTalking(scene), 5_000)) ? undefined : 'it is not resumed';
}

/** A request in the dialog; where both sides ask at a time, or the other cannot just now, it is asked again (RFC 3261 §14.1, §21.4.18). */
export async function asks({ world, phone }: Scene, method: string, fields = '', body = ''): Promise<number> {
  let last = -1;
  for (let attempt = 0; attempt < 12; attempt += 1) {
    const dialog = confirmed(phone);
    if (dialog === undefined) return -2;
    let status: number | undefined;
    phone.inDialog(
      dialog,
      method,
      (final) => {
        status = final;
      },
      fields,
      body,
    );
    if (!(await until(world, () => status !== undefined))) return -1;
    last = status ?? -1;
    if (last !== 491 && last !== 500) return last;
    await world.run(1_500);
  }
  return last;
}

export const holding =
  'v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\na=sendonly\r\n';

export const isTalking = ({ world, phone, line }: Scene): boolean =>
  world.telephone(line).media().sendsTo === '127.0.0.1:40000' && confirmed(phone) !== undefined;

export const confirmed = (phone: SimPhone) => [...phone.dialogs.values()].find(({ state }) => state === 'confirmed');

/** A request within a dialog, or a CANCEL, to the address of the member that is no more: the backup has not shown itself yet. */
const asksTheDead = ({ from, to, bytes }: MemoryPacket): boolean =>
  from.host === phoneHost &&
  to.host === primaryHost &&
  /^(?:CANCEL |(?:INVITE|UPDATE|INFO|BYE) .*\r\nTo: [^\r]*;tag=)/s.test(bytes.toString('latin1'));

const members: ReadonlySet<string> = new Set([primaryHost, backupHost]);

const isBetweenMembers = ({ from, to }: { from: { host: string }; to: { host: string } }): boolean =>
  members.has(from.host) && members.has(to.host);

export const until = (world: CrossingWorld, holds: () => boolean, limitMs = 40_000): Promise<boolean> =>
  reached(world, holds, limitMs, 50);
