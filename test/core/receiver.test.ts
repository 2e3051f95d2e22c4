/** The receiver over a memory network, with an adapter that knows words: `bad…` is malformed, `~` a keep-alive. */
import { pino } from 'pino';
import { expect, it } from 'vitest';
import {
  BindError,
  type ControllerAddress,
  type Flow,
  fail,
  formatAddress,
  Metrics,
  ok,
  type ProtocolAdapter,
  Receiver,
} from '../../src/internal.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { MemoryNetwork } from '../support/memory-network.ts';

const udp = (port: number, host = '127.0.0.1'): ControllerAddress => ({ transport: 'udp', host, port });

it('hands on what decodes, with the way back', async () => {
  const world = await started();
  world.say('hello');
  world.say('answer me');
  expect(world.messages).toEqual(['hello', 'answer me']);
  expect(world.flows[0]?.remote).toEqual({ host: '127.0.0.9', port: 7000 });
  expect(world.heard).toEqual(['re: answer me']);
  expect(await world.count('messages_received_total')).toBe(2);
  expect(await world.count('messages_malformed_total')).toBe(0);
});

it('answers the malformed where an answer is owed, counts and logs it, and hands on nothing', async () => {
  const world = await started();
  world.say('bad: owed');
  world.say('bad');
  expect(world.messages).toEqual([]);
  expect(world.heard).toEqual(['refused']);
  expect(await world.count('messages_received_total')).toBe(2);
  expect(await world.count('messages_malformed_total')).toBe(2);
  expect(world.logged('malformed message')).toMatchObject([
    { from: '127.0.0.9:7000', transport: 'udp', reason: 'bad word', offset: 3 },
  ]);
  world.clock.advance(60_000);
  expect(world.logged('malformed message').slice(1)).toMatchObject([{ from: '127.0.0.9:7000', count: 1 }]);
});

it('logs and counts an error thrown by the handling, and serves the next message', async () => {
  const world = await started();
  world.say('throw');
  world.say('hello');
  expect(world.messages).toEqual(['hello']);
  expect(await world.count('internal_errors_total')).toBe(1);
  expect(await world.count('messages_malformed_total')).toBe(0);
  expect(world.logged('handling a message failed')).toMatchObject([
    { from: '127.0.0.9:7000', err: { message: 'our own bug' } },
  ]);
});

it('takes a keep-alive for nothing: neither a message nor a sign of life', async () => {
  const world = await started();
  world.say('~');
  expect([world.messages, world.heard]).toEqual([[], []]);
  expect(await world.count('messages_received_total')).toBe(0);
});

it('answers a keep-alive where its sender waits for an answer, and counts no message', async () => {
  const world = await started();
  world.say('~?');
  expect([world.messages, world.heard]).toEqual([[], ['~!']]);
  expect(await world.count('messages_received_total')).toBe(0);
});

it('binds every address, the real port where 0 was asked for, and closes them all', async () => {
  const world = await started([udp(5060), udp(0)]);
  const [first, second] = world.receiver.listeners;
  expect(first?.local).toEqual(udp(5060));
  expect(second?.local.port).toBeGreaterThan(0);
  expect(await world.bindable(udp(5060))).toBe(false);
  await world.receiver.stop();
  await world.receiver.stop();
  expect(await world.bindable(udp(5060))).toBe(true);
  world.say('hello');
  expect(world.messages).toEqual([]);
});

it('closes what it had bound when a later address cannot be, and says which', async () => {
  const world = make([udp(5060), udp(5061), udp(5062)]);
  await world.host.bind(udp(5062), {}, { received() {}, failed() {} });
  await expect(world.receiver.start()).rejects.toThrow(BindError);
  await expect(world.receiver.start()).rejects.toThrow(formatAddress(udp(5062)));
  expect(world.receiver.listeners).toEqual([]);
  expect(await world.bindable(udp(5060))).toBe(true);
  expect(await world.bindable(udp(5061))).toBe(true);
  expect(await world.bindable(udp(5062))).toBe(false);
});

async function started(listen: readonly ControllerAddress[] = [udp(5060)]) {
  const world = make(listen);
  await world.receiver.start();
  const peer = await world.network.host('127.0.0.9').bind(
    udp(7000, '127.0.0.9'),
    {},
    {
      received: (bytes) => world.heard.push(bytes.toString()),
      failed() {},
    },
  );
  const say = (text: string): void => {
    peer.flowTo({ host: '127.0.0.1', port: 5060 }).send(Buffer.from(text));
    world.clock.advance(5);
  };
  return Object.assign(world, { say });
}

function make(listen: readonly ControllerAddress[]) {
  const clock = new FakeClock();
  const network = new MemoryNetwork(clock);
  const host = network.host('127.0.0.1');
  const metrics = new Metrics();
  const lines: { readonly msg: string }[] = [];
  const world = {
    clock,
    network,
    host,
    heard: [] as string[],
    messages: [] as string[],
    flows: [] as Flow[],
    receiver: new Receiver<string>({
      adapter,
      clock,
      network: host,
      metrics,
      listen,
      log: pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line)) }),
      maxMessageBytes: 1_000,
      onMessage(text, flow) {
        if (text === 'throw') throw new Error('our own bug');
        world.messages.push(text);
        world.flows.push(flow);
        if (text === 'answer me') flow.send(Buffer.from(`re: ${text}`));
      },
      onFailed() {},
    }),
    logged: (msg: string) => lines.filter((line) => line.msg === msg),
    async count(name: string): Promise<number> {
      const line = new RegExp(`^altpath_${name}\\{protocol="words"\\} (\\d+)$`, 'm').exec(await metrics.text());
      return Number(line?.[1]);
    },
    async bindable(address: ControllerAddress): Promise<boolean> {
      try {
        const listener = await host.bind(address, {}, { received() {}, failed() {} });
        await listener.close();
        return true;
      } catch {
        return false;
      }
    },
  };
  return world;
}

const adapter: ProtocolAdapter<string> = {
  protocol: 'words',
  isKeepAlive: (bytes) => Buffer.from(bytes).toString().startsWith('~'),
  keepAliveAnswer: (bytes) => (Buffer.from(bytes).toString() === '~?' ? Buffer.from('~!') : undefined),
  decode(bytes) {
    const text = Buffer.from(bytes).toString();
    if (!text.startsWith('bad')) return ok(text);
    const failure = { reason: 'bad word', offset: 3 };
    return fail(text.endsWith('owed') ? { ...failure, answer: () => Buffer.from('refused') } : failure);
  },
  encode: (text) => Buffer.from(text),
  paths: () => [],
  probe: (_to, _from, id) => id,
};
