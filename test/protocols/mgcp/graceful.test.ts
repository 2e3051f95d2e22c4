import { describe, expect, it } from 'vitest';
import { gatewayHosts, primaryHost, World } from './world.ts';

describe('RFC 3435 §2.3.12, §4.4.5: graceful, and cancel-graceful after it', () => {
  it('an idle line takes no calls, and takes them again', async () => {
    await inWorld(async (world) => {
      await say(world, 'graceful');
      expect(await dial(world, '201', '203')).toBe('L/ro');
      await say(world, 'cancel-graceful');
      expect(await dial(world, '201', '203')).toBe('G/rt');
    });
  });

  it('who lifts a handset meanwhile hears that nothing can be begun, and the line is as new afterwards', async () => {
    await inWorld(async (world) => {
      await say(world, 'graceful');
      const line = world.line('203');
      line.offHook();
      await world.run(200);
      expect(line.hears).toBe('L/ro');
      await say(world, 'cancel-graceful');
      line.onHook();
      await world.run(200);
      await isAsNew(world);
    });
  });

  it('a handset that is lifted before and hung up meanwhile, or after, leaves its line as new', async () => {
    for (const hangUp of ['meanwhile', 'after'])
      await inWorld(async (world) => {
        const line = world.line('203');
        line.offHook();
        await world.run(200);
        await say(world, 'graceful');
        if (hangUp === 'meanwhile') line.onHook();
        await world.run(200);
        await say(world, 'cancel-graceful');
        if (hangUp === 'after') line.onHook();
        await world.run(200);
        await isAsNew(world);
      });
  });

  it('in the middle of a call: it goes on and ends, nothing new begins, and the line is as new after the cancel', async () => {
    for (const end of ['before the cancel', 'after the cancel'])
      await inWorld(async (world) => {
        await talk(world, '200', '203');
        await say(world, 'graceful');
        expect(world.talking('200', '203')).toBe(true);
        const hangUp = async () => {
          world.line('200').onHook();
          await world.run(200);
          expect(world.line('203').hears).toBe('L/bz');
          world.line('203').onHook();
          await world.run(200);
        };
        if (end === 'before the cancel') {
          await hangUp();
          expect(await dial(world, '201', '203')).toBe('L/ro');
        }
        await say(world, 'cancel-graceful');
        if (end === 'after the cancel') await hangUp();
        await isAsNew(world);
      });
  });

  it('a call that is being made or rings goes on, and can be answered', async () => {
    await inWorld(async (world) => {
      const [a, b] = [world.line('200'), world.line('203')];
      a.offHook();
      await world.run(100);
      a.dial('203');
      await world.run(100);
      await say(world, 'graceful');
      b.offHook();
      await world.run(200);
      expect(world.talking('200', '203')).toBe(true);
    });
  });

  it('the restart that follows ends it', async () => {
    await inWorld(async (world) => {
      await say(world, 'graceful');
      world.gateways[1]?.restart();
      await world.run(1_000);
      await isAsNew(world);
    });
  });

  it('forced, then cancel-graceful: lines that are out are asked what they do, and serve', async () => {
    await inWorld(async (world) => {
      await say(world, 'graceful');
      await say(world, 'forced');
      await say(world, 'cancel-graceful');
      await world.run(500);
      await isAsNew(world);
    });
  });
});

describe('RFC 3435 §4.4.2: lifted again before the new request arrives', () => {
  /** Hangs up, and lifts again while the answer to the Notify with the next request is on its way: 401. */
  const relift = async (world: World, number: string, afterMs: number) => {
    const line = world.line(number);
    line.onHook();
    await world.run(afterMs);
    line.offHook();
  };

  it('gives dial tone, whatever the line was doing', async () => {
    for (const doing of ['dial tone', 'digits', 'ringback', 'talking', 'tone', 'howler'] as const)
      for (const afterMs of [0, 1, 2, 3, 4]) {
        await inWorld(async (world) => {
          const a = world.line('200');
          if (doing === 'talking') await talk(world, '200', '203');
          else {
            a.offHook();
            await world.run(100);
            if (doing === 'digits') a.press('2');
            if (doing === 'ringback') a.dial('203');
            if (doing === 'tone' || doing === 'howler') a.dial('999');
            await world.run(doing === 'howler' ? 31_000 : 100);
          }
          await relift(world, '200', afterMs);
          await world.run(500);
          expect(a.hears, `${doing}, ${afterMs} ms`).toBe('L/dl');
          a.dial('201');
          await world.run(200);
          expect(world.line('201').hears, `${doing}, ${afterMs} ms`).toBe('L/rg');
        });
      }
  });

  it('glare: who lifts as the bell is about to ring hears dial tone, the caller busy', async () => {
    for (let afterMs = 0; afterMs < 8; afterMs += 1)
      await inWorld(async (world) => {
        const [a, b] = [world.line('200'), world.line('203')];
        a.offHook();
        await world.run(100);
        a.dial('203');
        await world.run(afterMs);
        b.offHook();
        await world.run(500);
        const heard = `${a.hears} ${b.hears}`;
        if (!world.talking('200', '203')) expect(heard, `${afterMs} ms`).toBe('L/bz L/dl');
        a.onHook();
        b.onHook();
        await world.run(500);
        expect(world.calls(primaryHost)).toEqual([]);
        await isAsNew(world);
      });
  });
});

async function inWorld(play: (world: World) => Promise<void>): Promise<void> {
  const world = await World.up();
  try {
    await play(world);
  } finally {
    await world.stop();
  }
}

/** 203 can be called and can call. */
async function isAsNew(world: World): Promise<void> {
  await talk(world, '201', '203');
  world.line('201').onHook();
  world.line('203').onHook();
  await world.run(300);
  await talk(world, '203', '201');
}

async function talk(world: World, from: string, to: string): Promise<void> {
  const [a, b] = [world.line(from), world.line(to)];
  a.offHook();
  await world.run(100);
  a.dial(to);
  await world.run(100);
  expect(b.hears, `bell of ${to}`).toBe('L/rg');
  b.offHook();
  await world.run(100);
  expect(world.talking(from, to)).toBe(true);
}

async function dial(world: World, from: string, to: string): Promise<string> {
  const a = world.line(from);
  a.offHook();
  await world.run(100);
  a.dial(to);
  await world.run(100);
  const { hears } = a;
  a.onHook();
  await world.run(200);
  return hears;
}

let transaction = 7_000;

/** RestartInProgress of the second gateway, for all its lines. */
async function say(world: World, method: string): Promise<void> {
  const [, host] = gatewayHosts;
  const listener = await world.network
    .host(host)
    .bind({ transport: 'udp', host, port: 0 }, {}, { received() {}, failed() {} });
  transaction += 1;
  const text = `RSIP ${transaction} *@rgw2 MGCP 1.0\r\nRM: ${method}\r\n`;
  listener.flowTo({ host: primaryHost, port: 2727 }).send(Buffer.from(text, 'latin1'));
  await world.run(50);
  await listener.close();
}
