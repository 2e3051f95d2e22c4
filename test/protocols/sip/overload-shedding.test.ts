/** What a whole SIP role refuses under overload, and what never. */
import { describe, expect, it } from 'vitest';
import { sipScreen } from '../../../protocols/sip/overload/screen.ts';
import { type LoadSample, OverloadControl } from '../../../src/internal.ts';
import { type Scene, scene } from './proxy-scene.ts';
import { answerTo, request, type SipWorldOptions, statusOf } from './world.ts';

interface Loaded extends Scene {
  readonly control: OverloadControl;
  /** From now on next to nothing new is taken. */
  overloaded(): Promise<void>;
  calm(): Promise<void>;
}

const register = (n: number, fields = 'Contact: <sip:bob@127.0.0.20:5070>\r\n'): string =>
  request('REGISTER', {
    uri: 'sip:127.0.0.1',
    to: '<sip:bob@127.0.0.1>',
    from: '<sip:bob@127.0.0.1>;tag=r',
    callId: `register-${n}`,
    branch: `z9hG4bKregister${n}`,
    fields,
  });

async function loaded(options: SipWorldOptions = {}): Promise<Loaded> {
  const state: { load: LoadSample } = { load: { delayMs: 0, utilization: 0.2, queued: 0 } };
  let control: OverloadControl | undefined;
  const made = await scene({
    ...options,
    more: (parts) => {
      control = new OverloadControl({ ...parts, sensor: { sample: () => state.load }, settings: { keptPerSecond: 1 } });
      control.start();
      return { overload: control, announcesOverloadControl: true };
    },
  });
  if (control === undefined) throw new Error('no overload control');
  const kept = control;
  made.caller.send(register(0));
  await made.world.run();
  made.caller.take();
  return {
    ...made,
    control: kept,
    async overloaded() {
      state.load = { delayMs: 0, utilization: 1, queued: 1 };
      for (let n = 0; n < 60; n += 1) {
        for (let each = 0; each < 100; each += 1) kept.admits();
        await made.world.run(100);
      }
      expect(kept.keep).toBeLessThan(0.05);
    },
    async calm() {
      state.load = { delayMs: 0, utilization: 0.2, queued: 0 };
      await made.world.run(10_000);
    },
  };
}

let calls = 0;

function invite(options: Parameters<typeof request>[1] = {}): string {
  calls += 1;
  return request('INVITE', {
    uri: 'sip:bob@127.0.0.1',
    branch: `z9hG4bKcall${calls}`,
    callId: `call-${calls}`,
    ...options,
  });
}

/** Most of these: some are always taken. */
async function statuses({ caller, world }: Scene, make: () => string): Promise<(number | undefined)[]> {
  const heard: (number | undefined)[] = [];
  for (let n = 0; n < 10; n += 1) {
    caller.take();
    caller.send(make());
    await world.run();
    heard.push(...caller.texts.map(statusOf));
  }
  return heard;
}

/** Some are always taken: these are not waited for. */
async function untilRefused({ caller, world }: Scene, make: () => string): Promise<void> {
  for (let n = 0; n < 5; n += 1) {
    caller.take();
    caller.send(make());
    await world.run();
    if (caller.texts.some((text) => statusOf(text) === 503)) return;
  }
}

const refused = (heard: readonly (number | undefined)[]): number => heard.filter((status) => status === 503).length;

describe('under overload', () => {
  it('new calls are told 503 with a time to come back, before anything is kept of them', async () => {
    const made = await loaded();
    await made.overloaded();
    await untilRefused(made, () => invite());
    expect(statusOf(made.caller.last)).toBe(503);
    const seconds = Number(/^Retry-After: (\d+)\r$/m.exec(made.caller.last)?.[1]);
    expect(seconds).toBeGreaterThanOrEqual(5);
    expect(seconds).toBeLessThanOrEqual(15);
    // Its ACK ends here.
    made.callee.take();
    made.caller.take();
    made.caller.send(
      request('ACK', {
        uri: 'sip:bob@127.0.0.1',
        branch: `z9hG4bKcall${calls}`,
        callId: `call-${calls}`,
        to: /^To: (.*)\r$/m.exec(made.world.sent.at(-1)?.bytes.toString('latin1') ?? '')?.[1] ?? '',
      }),
    );
    await made.world.run();
    expect(made.callee.texts).toEqual([]);
    expect(made.caller.texts).toEqual([]);
    const before = Number(made.world.transactions);
    const heard = await statuses(made, () => invite());
    // One of the caller's and one of the callee's for each that was taken.
    expect(Number(made.world.transactions) - before).toBe(2 * (10 - refused(heard)));
    expect(refused(heard)).toBeGreaterThan(7);
  });

  it.each(['MESSAGE', 'SUBSCRIBE', 'PUBLISH', 'REFER'])('so is a new %s', async (method) => {
    const made = await loaded();
    await made.overloaded();
    const heard = await statuses(made, () => {
      calls += 1;
      return request(method, { uri: 'sip:bob@127.0.0.1', branch: `z9hG4bK${calls}`, callId: `c${calls}` });
    });
    expect(refused(heard)).toBeGreaterThan(7);
  });

  it('so is a REGISTER', async () => {
    const made = await loaded();
    await made.overloaded();
    let n = 0;
    const heard = await statuses(made, () => {
      n += 1;
      return register(n);
    });
    expect(refused(heard)).toBeGreaterThan(7);
    expect(made.world.locations.lookup('bob')).toHaveLength(1);
  });

  it('RFC 7339 §5.10.2: a proxy is not told to stay away altogether', async () => {
    const made = await loaded();
    await made.overloaded();
    await untilRefused(made, () =>
      invite().replace('\r\nMax-Forwards', '\r\nVia: SIP/2.0/UDP 127.0.0.77;branch=z9hG4bKfirst\r\nMax-Forwards'),
    );
    expect(statusOf(made.caller.last)).toBe(503);
    expect(made.caller.last).not.toMatch(/^Retry-After/m);
  });

  it('a call in progress goes on: its repetitions, answers, ACK, in-dialog requests, CANCEL and BYE', async () => {
    const made = await loaded();
    const { caller, callee, world } = made;
    const call = invite();
    caller.send(call);
    await world.run();
    await made.overloaded();
    caller.take();
    caller.send(call);
    await world.run();
    expect(caller.texts.map(statusOf)).not.toContain(503);
    callee.answer(answerTo(callee.last, 200, { fields: 'Contact: <sip:bob@127.0.0.20:5070>\r\n' }));
    await world.run();
    expect(statusOf(caller.last)).toBe(200);
    const route = /^Record-Route: (.*)\r$/m.exec(caller.last)?.[1] ?? '';
    const inDialog = (method: string, cseq: number): string =>
      request(method, {
        uri: 'sip:bob@127.0.0.20:5070',
        branch: `z9hG4bK${method}${cseq}`,
        callId: `call-${calls}`,
        cseq,
        to: '<sip:bob@biloxi.example>;tag=b1',
        fields: `Route: ${route}\r\n`,
      });
    for (const [method, cseq] of [
      ['ACK', 1],
      ['INFO', 2],
      ['INVITE', 3],
      ['BYE', 4],
    ] as const) {
      callee.take();
      caller.take();
      caller.send(inDialog(method, cseq));
      await world.run();
      expect(callee.last.startsWith(`${method} `)).toBe(true);
      if (method !== 'ACK') callee.answer(answerTo(callee.last, 200));
      await world.run();
      expect(caller.texts.map(statusOf)).not.toContain(503);
    }
    const other = invite();
    await made.calm();
    caller.send(other);
    await world.run();
    await made.overloaded();
    callee.take();
    caller.take();
    caller.send(other.replace(/^INVITE/, 'CANCEL').replace('1 INVITE', '1 CANCEL'));
    await world.run();
    expect(caller.texts.map(statusOf)).toContain(200);
  });

  it('a call for help is taken', async () => {
    const made = await loaded({
      numbers: { emergency: ['112'] },
      config: { trunks: [{ name: 'carrier', to: ['127.0.0.20:5070'], pingSeconds: 0 }] },
    });
    await made.overloaded();
    made.callee.take();
    for (const uri of ['sip:112@127.0.0.1', 'tel:112']) {
      for (let n = 0; n < 10; n += 1) made.caller.send(invite({ uri, to: `<${uri}>` }));
      await made.world.run();
    }
    expect(made.callee.texts.filter((text) => text.startsWith('INVITE ')).length).toBe(20);
    expect(made.caller.texts.map(statusOf)).not.toContain(503);
  });

  it('who asks whether we live is answered', async () => {
    const made = await loaded();
    await made.overloaded();
    const ping = (maxForwards: string) => () => {
      calls += 1;
      return request('OPTIONS', { uri: 'sip:127.0.0.1', maxForwards, branch: `z9hG4bK${calls}`, callId: `c${calls}` });
    };
    expect(new Set(await statuses(made, ping('Max-Forwards: 70\r\n')))).toEqual(new Set([200]));
    expect(new Set(await statuses(made, ping('Max-Forwards: 0\r\n')))).toEqual(new Set([200]));
  });

  it('a hop that announces `oc` hears how much to leave out, in refusals and in the answers of others', async () => {
    const made = await loaded();
    const via = '127.0.0.9:5062;oc;oc-algo="loss,rate"';
    const before = invite({ via });
    made.caller.send(before);
    await made.world.run();
    // RFC 7339 §5.6: it is nobody else's business.
    expect(/^Via: .*127\.0\.0\.9:5062.*$/m.exec(made.callee.last)?.[0]).not.toContain(';oc');
    made.callee.answer(answerTo(made.callee.last, 180));
    await made.world.run();
    expect(made.caller.last).toMatch(/^Via: .*;oc=0;oc-algo="loss";oc-validity=0;oc-seq=\d+\.\d+\r$/m);
    await made.overloaded();
    made.callee.answer(answerTo(made.callee.last, 200));
    await made.world.run();
    expect(made.caller.last).toMatch(/^Via: .*;oc=[1-9]\d*;oc-algo="loss";oc-validity=1000;oc-seq=\d+\.\d+\r$/m);
    expect(made.caller.last.match(/;oc=/g)).toHaveLength(1);
  });

  it('recovers: everything is taken again', async () => {
    const made = await loaded();
    await made.overloaded();
    await made.calm();
    expect(refused(await statuses(made, () => invite()))).toBe(0);
    expect(made.callee.texts.filter((text) => text.startsWith('INVITE ')).length).toBeGreaterThanOrEqual(10);
  });
});

describe('a configured next hop that asks for less', () => {
  it('is told that we obey, gets no new calls while it wants none, and calls for help all the same', async () => {
    const made = await loaded({
      numbers: { emergency: ['112'] },
      config: {
        routes: [{ prefix: '555', to: ['127.0.0.20:5070'] }],
        trunks: [{ name: 'carrier', to: ['127.0.0.20:5070'], pingSeconds: 0 }],
      },
    });
    const { caller, callee, world } = made;
    callee.take();
    caller.send(invite({ uri: 'sip:5551234@127.0.0.1' }));
    await world.run();
    const [top = ''] = /^Via: .*$/m.exec(callee.last) ?? [];
    expect(top).toContain(';oc;oc-algo="loss,rate"');
    callee.answer(
      answerTo(callee.last, 486).replace(
        ';oc;oc-algo="loss,rate"',
        ';oc=100;oc-algo="loss";oc-validity=2000;oc-seq=1.5',
      ),
    );
    await world.run();
    callee.take();
    caller.take();
    caller.send(invite({ uri: 'sip:5551234@127.0.0.1' }));
    await world.run();
    expect(callee.texts).toEqual([]);
    expect(statusOf(caller.last)).toBe(503);
    expect(caller.last).not.toMatch(/^Retry-After/m);
    caller.send(invite({ uri: 'sip:112@127.0.0.1' }));
    await world.run();
    expect(callee.texts.filter((text) => text.startsWith('INVITE sip:112@'))).toHaveLength(1);
    await world.run(2_000);
    callee.take();
    caller.send(invite({ uri: 'sip:5551234@127.0.0.1' }));
    await world.run();
    expect(callee.texts.filter((text) => text.startsWith('INVITE '))).toHaveLength(1);
  });

  it('a telephone is not told', async () => {
    const made = await loaded();
    made.caller.send(invite());
    await made.world.run();
    expect(made.callee.last).not.toMatch(/;oc[;\r=]/);
  });
});

describe('who is served, so that it is not banned for sending much', () => {
  it('is whose calls and registrations succeed', async () => {
    const made = await scene();
    const { caller, callee, world } = made;
    const serves = (host: string): boolean | undefined => {
      const flow = caller.listener?.flowTo({ host, port: 5_060 });
      return flow === undefined ? undefined : world.role.screen?.serves?.(flow);
    };
    expect(serves('127.0.0.9')).toBe(false);
    caller.send(request('INVITE', { uri: 'sip:nobody@127.0.0.1', callId: 'n' }));
    await world.run();
    expect(serves('127.0.0.9')).toBe(false);
    caller.send(register(1));
    await world.run();
    expect(serves('127.0.0.9')).toBe(true);
    await world.run(61_000);
    expect(serves('127.0.0.9')).toBe(false);
    caller.send(invite());
    await world.run();
    callee.answer(answerTo(callee.last, 200, { fields: 'Contact: <sip:bob@127.0.0.20:5070>\r\n' }));
    await world.run();
    expect([serves('127.0.0.9'), serves('127.0.0.20')]).toEqual([true, false]);
  });
});

describe('what is told of messages that nobody has decoded', () => {
  const screen = sipScreen({ knows: () => false, serves: () => false, isEmergency: (user) => user === '112' });
  const rank = (text: string) => screen.rank(Buffer.from(text));

  it.each([
    ['SIP/2.0 200 OK\r\n', 'open'],
    ['\r\nSIP/2.0 200 OK\r\n', 'open'],
    [request('ACK'), 'open'],
    [request('BYE', { to: '<sip:b@x>;tag=1' }), 'open'],
    [request('INVITE', { to: '<sip:b@x>;tag=1' }), 'open'],
    [request('INVITE').replace('To:', 't :').replace('<sip:bob@biloxi.example>', '<sip:b@x> ; TAG = 1'), 'open'],
    [request('INVITE'), 'new'],
    [request('INVITE', { uri: 'sip:112@x' }), 'urgent'],
    [request('INVITE', { uri: 'tel:112' }), 'urgent'],
    [request('INVITE', { uri: 'sips:112;phone-context=x@y' }), 'urgent'],
    [request('INVITE', { uri: 'sip:1123@x' }), 'new'],
    [request('MESSAGE', { uri: 'sip:112@x' }), 'new'],
    [request('REGISTER'), 'new'],
    ['', 'junk'],
    ['\u0000\u0001\u0002', 'junk'],
    ['INVITE', 'junk'],
    ['INVITE sip:bob@x SIP/1.0\r\n', 'junk'],
  ])('%j → %s', (text, expected) => {
    expect(rank(text)).toBe(expected);
  });
});
