import { describe, expect, it } from 'vitest';
import {
  CallControl,
  type DesiredLine,
  type Line,
  LineDriver,
  type LineFailure,
  type LineProtocol,
  LineProvider,
  type LineReport,
  type LocationService,
  Metrics,
  silentLog,
} from '../../src/internal.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { seededRandom } from '../support/seeded-random.ts';

/** What the gateway of these tests has of a line: the last state that it was brought to, and a description if that has media. */
interface Observed {
  readonly has: DesiredLine | undefined;
  readonly callId: string | undefined;
  readonly stray: boolean;
}

type Command =
  | { readonly kind: 'bring'; readonly desired: DesiredLine }
  | { readonly kind: 'remove' }
  | { readonly kind: 'delete' };

type Result = LineReport | 'done' | 'cannotDelete';

const nothing: Observed = { has: undefined, callId: undefined, stray: false };

const protocol: LineProtocol<Observed, Command, Result> = {
  nothing,
  nextCommand: (desired, { has, stray }, { cleansUp }) => {
    if (stray && cleansUp) return { kind: 'delete' };
    if (desired === undefined) return has && { kind: 'remove' };
    return has === desired ? undefined : { kind: 'bring', desired };
  },
  onResult: (observed, command, result, isDisturbed) => {
    if (result === 'cannotDelete') return { observed, cleanUp: 'postponed' };
    if (result !== 'done') return { observed, report: result };
    if (command.kind === 'delete') return { observed: { ...observed, stray: false }, cleanUp: 'done' };
    if (command.kind === 'remove') return { observed: nothing };
    const { desired } = command;
    return { observed: { ...observed, has: isDisturbed ? undefined : desired, callId: desired.media?.callId } };
  },
  afterEvent: (observed) => ({ ...observed, has: undefined }),
  unrequested: (observed) => ({ ...observed, has: undefined }),
  mediaOf: ({ callId }) => (callId === undefined ? undefined : { callId, local: `sdp of ${callId}` }),
};

describe('a line driver', () => {
  it('has one command under way, and sends the latest desired state only', () => {
    const { line, provider, sent, end } = harness();
    provider.offHook(line);
    provider.onHook(line);
    provider.offHook(line);
    expect(sent()).toEqual(['bring idle']);
    end('done');
    expect(sent()).toEqual(['bring dialling']);
    end('done');
    expect(sent()).toEqual([]);
  });

  it('commands no line that is not in service, and none of a gateway that is not ours', () => {
    const { driver, line, provider, sent, end, gateway } = harness();
    end('done');
    provider.outOfService(line);
    driver.renew(line);
    expect(sent()).toEqual([]);
    gateway.isOurs = false;
    provider.inService(line, 'on');
    expect(sent()).toEqual([]);
    gateway.isOurs = true;
    driver.apply(line);
    expect(sent()).toEqual(['bring idle']);
  });

  it('reports media once for each desired state', () => {
    const { line, other, provider, sent, end, reported } = harness();
    end('done');
    provider.offHook(line);
    end('done');
    provider.dialled(line, '201');
    expect(sent()).toEqual(['bring offering']);
    end('done');
    expect(reported).toEqual([`${line.number} offering`]);
    expect(other.desired.state).toBe('ringing');
    expect(line.desired.state).toBe('offering');
  });

  it('waits with what follows until the desired state is on the gateway', () => {
    const { driver, line, provider, end } = harness();
    end('done');
    const ran: string[] = [];
    provider.offHook(line);
    driver.whenSettled(line, () => ran.push('dial tone'));
    provider.onHook(line);
    expect(ran).toEqual([]);
    end('done');
    expect(ran).toEqual([]);
    end('done');
    expect(ran).toEqual(['dial tone']);
    driver.whenSettled(line, () => ran.push('at once'));
    expect(ran).toEqual(['dial tone', 'at once']);
  });

  it('keeps nobody waiting for a gateway that refuses, is silent, another controller’s, or forgotten', () => {
    const ends: Record<string, (each: ReturnType<typeof harness>) => void> = {
      refuses: ({ end }) => end({ kind: 'refused', reason: 'noResources' }),
      later: ({ end }) => end({ kind: 'tryLater' }),
      silent: ({ end }) => end(undefined),
      notOurs: ({ end }) => end({ kind: 'failed', because: 'notOurs' }),
      forgotten: ({ driver, line }) => driver.forget(line),
      withdrawn: ({ driver, line }) => driver.withdraw(line),
    };
    for (const [name, over] of Object.entries(ends)) {
      const each = harness();
      let ran = 0;
      each.driver.whenSettled(each.line, () => {
        ran += 1;
      });
      expect([name, ran]).toEqual([name, 0]);
      over(each);
      expect([name, ran]).toEqual([name, 1]);
    }
  });

  it('repeats what was refused after a while, twice as long each time, and at once if something else is desired', () => {
    const { clock, line, provider, sent, end } = harness();
    for (const waitMs of [1_000, 2_000, 4_000]) {
      end({ kind: 'refused', reason: 'noResources' });
      clock.advance(waitMs - 1);
      expect(sent()).toEqual([]);
      clock.advance(1);
      expect(sent()).toEqual(['bring idle']);
    }
    end({ kind: 'tryLater' });
    provider.offHook(line);
    expect(sent()).toEqual(['bring dialling']);
    end('done');
    clock.advance(9_000);
    expect(sent()).toEqual([]);
  });

  it('ends a call that its gateway refuses, and lets be what nobody wants any more', () => {
    const { line, provider, sent, end } = harness();
    end('done');
    provider.offHook(line);
    end('done');
    provider.dialled(line, '201');
    provider.onHook(line);
    end({ kind: 'refused', reason: 'noResources' });
    expect([line.desired.state, ...sent()]).toEqual(['idle', 'bring idle']);
    end('done');
    provider.offHook(line);
    end('done');
    provider.dialled(line, '201');
    end({ kind: 'refused', reason: 'noResources' });
    expect(line.desired).toMatchObject({ state: 'tone', tone: 'reorder' });
  });

  it('sends again what an event may have stopped, also while it was under way', () => {
    const { driver, line, sent, end } = harness();
    driver.eventSeen(line);
    end('done');
    expect(sent()).toEqual(['bring idle']);
    end('done');
    expect(sent()).toEqual([]);
    driver.eventSeen(line);
    driver.apply(line);
    expect(sent()).toEqual(['bring idle']);
  });

  it('tells the call control what the gateway knows of the hook', () => {
    const { line, sent, end } = harness();
    end({ kind: 'event', event: 'offHook' });
    expect([line.hook, line.desired.state]).toEqual(['off', 'dialling']);
    expect(sent()).toEqual(['bring dialling']);
    end({ kind: 'event', event: 'onHook' });
    expect([line.hook, line.desired.state]).toEqual(['on', 'idle']);
  });

  it('deletes what belongs to no call first, and goes on without where that is refused', () => {
    const { clock, driver, line, sent, end } = harness();
    end('done');
    driver.observe(line, { ...driver.observed(line), stray: true });
    driver.renew(line);
    expect(sent()).toEqual(['delete']);
    end('cannotDelete');
    expect(sent()).toEqual(['bring idle']);
    end('done');
    clock.advance(999);
    expect(sent()).toEqual([]);
    clock.advance(1);
    expect(sent()).toEqual(['delete']);
    end('done');
    clock.advance(60_000);
    expect(sent()).toEqual([]);
  });

  it('removes a withdrawn line once the command under way has ended, whatever that brought', () => {
    const { driver, line, other, provider, sent, end, reported } = harness();
    end('done');
    provider.offHook(line);
    provider.outOfService(line);
    driver.withdraw(line);
    expect(sent()).toEqual(['bring dialling']);
    end('done');
    expect(sent()).toEqual(['remove']);
    end('done');
    expect([...sent(), ...reported]).toEqual([]);
    expect(driver.observed(line)).toEqual(nothing);
    expect(other.inService).toBe(true);
  });

  it('hears no result of a line that it forgot, and tells of silence once', () => {
    const { driver, line, gateway, sent, end } = harness();
    driver.forget(line);
    end('done');
    expect(driver.observed(line)).toEqual(nothing);
    driver.apply(line);
    end(undefined);
    expect(gateway.failures).toEqual(['silent']);
    expect(sent()).toEqual([]);
  });

  it('takes an audit for what the gateway has', () => {
    const { driver, line, sent, end } = harness();
    end('done');
    driver.adopt(line, { ...nothing, has: line.desired });
    driver.apply(line);
    expect(sent()).toEqual([]);
    driver.adopt(line, nothing);
    driver.apply(line);
    expect(sent()).toEqual(['bring idle']);
  });
});

/** Two lines; what `sent` and `end` tell is of the first one, the other is always obeyed. */
function harness() {
  const clock = new FakeClock();
  const records = new Map<string, Parameters<LocationService['save']>[1]>();
  const locations: LocationService = {
    open: async () => {},
    lookup: (record) => records.get(record) ?? [],
    save: async (record, contacts) => {
      records.set(record, contacts);
    },
    records: () => records,
    size: 0,
    close: async () => {},
  };
  const parts = { clock, log: silentLog, metrics: new Metrics(), locations };
  const underWay: { readonly text: string; readonly ended: (result: Result | undefined) => void }[] = [];
  const gateway = { isOurs: true, failures: [] as LineFailure[] };
  const reported: string[] = [];
  let first: Line | undefined;
  const driver = new LineDriver<Observed, Command, Result>({
    clock,
    protocol,
    gateway: {
      isCommanded: () => gateway.isOurs,
      submit: (line, command, ended) => {
        if (line === first)
          underWay.push({ text: command.kind === 'bring' ? `bring ${command.desired.state}` : command.kind, ended });
        else clock.after(0, () => ended('done'));
        return undefined;
      },
      failed: (_line, because) => {
        gateway.failures.push(because);
      },
      packetsReceived: (_line, _observed, told) => told(undefined),
    },
    lineProvider: () => provider,
  });
  const provider = new LineProvider({
    ...parts,
    callControl: new CallControl({ ...parts, random: seededRandom(1), locate: (number) => locations.lookup(number) }),
    protocol: 'test',
    driver,
  });
  const mediaReady = provider.mediaReady.bind(provider);
  provider.mediaReady = (line, callId, description) => {
    reported.push(`${line.number} ${line.desired.state}`);
    mediaReady(line, callId, description);
  };
  const line = provider.lines.add({ number: '200', endpoint: 'a@g', gateway: 'g' });
  const other = provider.lines.add({ number: '201', endpoint: 'b@g', gateway: 'g' });
  first = line;
  provider.inService(line, 'on');
  provider.inService(other, 'on');
  return {
    clock,
    driver,
    provider,
    gateway,
    line,
    other,
    reported,
    sent: () => underWay.map(({ text }) => text),
    end: (result: Result | undefined) => underWay.shift()?.ended(result),
  };
}
