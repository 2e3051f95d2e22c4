/**
 * Calls between lines and a party that is no line (here one without any protocol, that stands for whatever has no gateway): what cannot be
 * audited is kept by the gateway or by the other member, before it is acted upon, and a backup goes on from it.
 */
import { describe, expect, it } from 'vitest';
import { recordIn } from '../../protocols/mgcp/record-place.ts';
import {
  type Call,
  type CallRecord,
  type CoreServices,
  type Leg,
  type LegProvider,
  type RecordPhase,
  type ResumedParty,
  readRecords,
  type Side,
} from '../../src/internal.ts';
import { backupHost, type CrossingOptions, CrossingWorld, primaryHost } from './crossing-world.ts';

/** With a record of nobody's: a party may say whatever it likes. */
const farSdp =
  'v=0\r\no=- 7 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=x-altpath:AAAA\r\n';

/** The party at the far end: what it was told last, by whichever controller. */
class FarParty {
  readonly told: string[] = [];
  readonly resumed: ResumedParty[] = [];
  leg: FarLeg | undefined;
  /** Does it write before it is told: was its record kept by then? */
  readonly keptBy: string[] = [];
}

class FarLeg implements Leg {
  readonly name = '900';
  readonly #far: FarParty;
  readonly #call: Call;
  readonly #side: Side;
  record: CallRecord;

  constructor(far: FarParty, call: Call, side: Side, record: CallRecord) {
    this.#far = far;
    this.#call = call;
    this.#side = side;
    this.record = record;
    far.leg = this;
  }

  /** Its state is another: the record first, then the word. */
  #say(phase: RecordPhase, word: string): void {
    this.record = { ...this.record, phase, callId: this.#call.callId ?? '', fields: [`far ${phase}`] };
    this.#call.whenKept(this.#side, () => this.#far.told.push(word));
  }

  collect(): void {
    this.#call.on(this.#side, { kind: 'digits', number: this.record.number });
  }
  offer(): void {
    this.#call.on(this.#side, { kind: 'offered', description: farSdp });
  }
  alert(callId: string): void {
    this.record = { ...this.record, phase: 'calling', callId };
    this.#call.whenKept(this.#side, () => this.#far.told.push('called'));
  }
  progress(): void {
    this.#say('ringing', 'ringing');
  }
  connect(): void {
    this.#say(this.#side === 'callee' ? 'talking' : 'answered', 'connected');
  }
  release(reason: string): void {
    this.#far.told.push(`released ${reason}`);
  }
  modify(): void {}
  modifyAnswer(): void {}
  modifyRefuse(): void {}
  digit(): void {}

  alerting(): void {
    this.record = { ...this.record, phase: 'ringing', fields: ['far ringing'] };
    this.#call.on(this.#side, { kind: 'alerting', description: farSdp });
  }
  answers(): void {
    this.record = { ...this.record, phase: 'talking', fields: ['far talking'] };
    this.#call.on(this.#side, { kind: 'answered', description: farSdp });
  }
  hangsUp(): void {
    this.#call.on(this.#side, { kind: 'hungUp' });
  }
}

class FarProvider implements LegProvider {
  readonly protocol = 'far';
  readonly timers = {};
  readonly numbersVersion = 1;
  readonly #far: FarParty;

  constructor(far: FarParty) {
    this.#far = far;
  }

  place(_: unknown, call: Call): Leg {
    const number = 'number' in call.state ? call.state.number : '';
    return new FarLeg(this.#far, call, 'callee', recordOf('callee', number));
  }
  resume(party: ResumedParty) {
    const { record, call, side } = party;
    this.#far.resumed.push(party);
    return {
      leg: new FarLeg(this.#far, call, side, record),
      begin: () => this.#far.told.push(`resumed ${party.line}`),
    };
  }
  claim = () => 'unknownNumber' as const;
  numbers = () => ['900'];
  hasNumber = (number: string) => number === '900';
  isServed = () => false;
  isInCall = () => false;
  isNumberOf = () => false;
  restore = () => undefined;
  snapshotOf = () => undefined;
  hasUnknownEnds = () => false;
}

const recordOf = (side: Side, number: string): CallRecord => ({
  protocol: 'far',
  side,
  phase: 'calling',
  callId: '',
  number,
  fields: [],
});

async function up(options: CrossingOptions = {}) {
  const far = new FarParty();
  const world = await CrossingWorld.up({
    ...options,
    joined: (services: CoreServices) => {
      services.callControl.register(new FarProvider(far));
      void services.locations.save('900', [
        {
          protocol: 'far',
          target: '900',
          key: '900',
          path: [],
          alternates: [],
          expiresMs: Number.POSITIVE_INFINITY,
          q: 1_000,
          updatedMs: 0,
        },
      ]);
    },
  });
  return { world, far };
}

const dialled = async (world: CrossingWorld, from: string): Promise<void> => {
  world.telephone(from).offHook();
  await world.run(500);
  world.telephone(from).dial('900');
  await world.run(3_000);
};

/** The far party calls a line. */
function calls(world: CrossingWorld, far: FarParty, number: string): void {
  const { callControl } = world.services.get(primaryHost) ?? {};
  callControl?.begin('far', (call) => new FarLeg(far, call, 'caller', recordOf('caller', number)));
}

const lines = [
  ['an MGCP line', '200'],
  ['a MEGACO line', '300'],
] as const;

const habits = ['keepsRemote', 'keepsEntity', 'forgets'] as const;

describe('the record of a party that is no line', () => {
  it.each(lines)('%s: its gateway has it before the party is told that the call is answered', async (_, number) => {
    const { world, far } = await up();
    const carried: string[] = [];
    world.network.onPacket(({ bytes }) => {
      if (bytes.includes('x-altpath:')) carried.push(`${far.told.at(-1)}`);
    });
    await dialled(world, number);
    expect(far.told).toEqual(['called']);
    far.leg?.alerting();
    await world.run(500);
    far.leg?.answers();
    await world.run(500);
    expect(far.told).toEqual(['called', 'connected']);
    // Each of both records left for the gateway while the party had been told nothing of what it says.
    expect(carried.length).toBeGreaterThanOrEqual(2);
    expect(new Set(carried)).not.toContain('undefined');
    expect(carried.filter((told) => told === 'connected')).toEqual([]);
    world.telephone(number).onHook();
    await world.run(2_000);
    expect(far.told.at(-1)).toBe('released normal');
    expect(world.telephone(number).isIdle()).toBe(true);
    await world.stop();
  });

  it('what the gateway keeps never goes to the other party, and the party sees none of it', async () => {
    const { world, far } = await up();
    calls(world, far, '200');
    await world.run(1_000);
    const [connection] = world.mgcp?.line(1)?.connections.values() ?? [];
    // Ours, and not what the party has planted.
    const { sealed } = readRecords(connection?.remote ?? '');
    expect(sealed.map(({ length }) => length > 40)).toEqual([true]);
    world.telephone('200').offHook();
    await world.run(1_000);
    expect(far.told).toEqual(['ringing', 'connected']);
    await world.stop();
  });

  it('a gateway that leaves the attribute out is given the record in the notified entity, if it keeps that', async () => {
    const { world, far } = await up({ records: 'keepsEntity' });
    for (let call = 0; call < 3; call += 1) {
      calls(world, far, '200');
      await world.run(1_000);
      if (call < 2) {
        far.leg?.hangsUp();
        await world.run(1_000);
      }
    }
    const line = world.mgcp?.line(1);
    const entity = line === undefined ? undefined : world.mgcp?.destination(line).entity;
    expect(recordIn(`${entity?.user}@x`)).toBeDefined();
    await world.stop();
  });
});

describe('a backup goes on with a party that is no line', () => {
  for (const [name, number] of lines)
    for (const records of habits) {
      it(`${name} talks with it; the gateway ${records}: the call stays, and either hangs up`, async () => {
        for (const hangsUp of ['line', 'party'] as const) {
          const { world, far } = await up({ records });
          await dialled(world, number);
          far.leg?.alerting();
          await world.run(500);
          far.leg?.answers();
          await world.run(1_000);
          const before = world.telephone(number).media();
          expect(before.sendsTo).toBe('192.0.2.9:4000');
          world.kill(primaryHost);
          await world.run(25_000);
          expect(far.resumed).toHaveLength(1);
          expect(far.resumed[0]?.line).toBe('talking');
          expect(far.resumed[0]?.record).toMatchObject({
            phase: 'talking',
            side: 'callee',
            number: '900',
            fields: ['far talking'],
          });
          expect(world.telephone(number).media()).toEqual(before);
          expect(world.calls(backupHost)).toBe(1);
          if (hangsUp === 'line') world.telephone(number).onHook();
          else far.leg?.hangsUp();
          await world.run(3_000);
          if (hangsUp === 'line') expect(far.told.at(-1)).toBe('released normal');
          else expect(world.telephone(number).hears()).toBe('busy');
          world.telephone(number).onHook();
          await world.run(2_000);
          expect(world.telephone(number).isIdle()).toBe(true);
          await world.stop();
        }
      });

      it(`it rings ${name}; the gateway ${records}: it goes on ringing, and is answered`, async () => {
        const { world, far } = await up({ records });
        calls(world, far, number);
        await world.run(1_000);
        expect(world.telephone(number).hears()).toBe('ring');
        world.kill(primaryHost);
        await world.run(25_000);
        expect(far.resumed.map(({ line, side }) => `${side} ${line}`)).toEqual(['caller ringing']);
        expect(world.telephone(number).hears()).toBe('ring');
        world.telephone(number).offHook();
        await world.run(2_000);
        expect(far.told.at(-1)).toBe('connected');
        expect(world.telephone(number).media().sendsTo).toBe('192.0.2.9:4000');
        await world.stop();
      });

      it(`${name} calls it and hears ringback; the gateway ${records}: it answers the backup`, async () => {
        const { world, far } = await up({ records });
        await dialled(world, number);
        far.leg?.alerting();
        await world.run(1_000);
        world.kill(primaryHost);
        await world.run(25_000);
        expect(far.resumed.map(({ line, side }) => `${side} ${line}`)).toEqual(['callee ringing']);
        far.leg?.answers();
        await world.run(1_000);
        expect(world.telephone(number).media().sendsTo).toBe('192.0.2.9:4000');
        expect(far.told.at(-1)).toBe('connected');
        await world.stop();
      });

      it(`${name} has called it and nothing has come; the gateway ${records}: it is called again by the backup`, async () => {
        const { world, far } = await up({ records });
        await dialled(world, number);
        const callId = far.leg?.record.callId;
        world.kill(primaryHost);
        await world.run(25_000);
        expect(far.told).toEqual(['called', 'called']);
        // Whatever it derives from the call's id is the same.
        expect(far.leg?.record.callId).toBe(callId);
        await world.stop();
      });
    }

  it('without a word between the members a gateway that keeps the record is enough', async () => {
    for (const [, number] of lines) {
      const { world, far } = await up({ hasLink: false });
      await dialled(world, number);
      far.leg?.alerting();
      await world.run(500);
      far.leg?.answers();
      await world.run(1_000);
      world.kill(primaryHost);
      await world.run(25_000);
      expect(far.resumed).toHaveLength(1);
      await world.stop();
    }
  });

  it.each(lines)('%s is hung up while nobody commands it: the party is told', async (_, number) => {
    const { world, far } = await up();
    await dialled(world, number);
    far.leg?.alerting();
    await world.run(500);
    far.leg?.answers();
    await world.run(1_000);
    world.kill(primaryHost);
    world.telephone(number).onHook();
    await world.run(25_000);
    expect(far.told.at(-1)).toBe('released normal');
    expect(world.telephone(number).isIdle()).toBe(true);
    await world.stop();
  });

  it.each(lines)('%s is lifted while nobody commands it: the party is connected by the backup', async (_, number) => {
    const { world, far } = await up();
    calls(world, far, number);
    await world.run(1_000);
    world.kill(primaryHost);
    world.telephone(number).offHook();
    await world.run(25_000);
    expect(far.told.at(-1)).toBe('connected');
    expect(world.telephone(number).media().sendsTo).toBe('192.0.2.9:4000');
    await world.stop();
  });
});
