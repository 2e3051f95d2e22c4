/** baresip, an MGCP gateway and a MEGACO gateway at one controller: a telephone and lines call each other, as whole programs. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Phone, phonesMissing } from './support/baresip.ts';
import { Child, stopAll } from './support/child.ts';
import { freeHost } from './support/hosts.ts';
import { missing } from './support/programs.ts';
import { scratchDirectory } from './support/scratch.ts';
import { until } from './support/until.ts';

const main = new URL('../../src/main.ts', import.meta.url).pathname;
const absent = missing('baresip') ?? phonesMissing();

interface Site {
  readonly controller: Child;
  readonly gateway: Child;
  readonly phone: Phone;
  readonly proxy: string;
}

const kinds = {
  mgcp: { number: '200', port: 2427, controllerFlag: '--call-agent', controllerPort: 2727 },
  megaco: { number: '300', port: 2944, controllerFlag: '--controller', controllerPort: 2944 },
} as const;

type Kind = keyof typeof kinds;

async function site(kind: Kind, answer: 'auto' | 'manual', transport: 'udp' | 'tcp' = 'udp'): Promise<Site> {
  const { number, port, controllerFlag } = kinds[kind];
  const [host, gatewayHost, phoneHost] = [
    await freeHost(5060, 2727, 2944),
    await freeHost(port),
    await freeHost(5060, 4444),
  ];
  const config = join(scratchDirectory('crossing'), 'altpath.yaml');
  const mgcp = {
    mgcp: {
      listen: [`${host}:2727`],
      digitMap: ['7xxx'],
      gateways: [{ name: 'rgw1', addresses: [`${gatewayHost}:2427`] }],
      lines: [{ number, endpoint: 'aaln/1@rgw1' }],
    },
  };
  const megaco = {
    megaco: {
      listen: [`udp:${host}:2944`],
      digitMap: ['7xxx'],
      gateways: [{ name: 'gw1', addresses: [`udp:${gatewayHost}:2944`] }],
      lines: [{ number, termination: 'aaln/1@gw1' }],
    },
  };
  const sip = { listen: [`udp:${host}:5060`, `tcp:${host}:5060`] };
  writeFileSync(config, JSON.stringify({ admin: 'off', sip, ...(kind === 'mgcp' ? mgcp : megaco) }, undefined, 1));
  const controller = new Child('altpath run', process.execPath, [main, 'run', '-c', config, '--log-format', 'json']);
  await until('the controller is ready', 15_000, () => {
    if (controller.exited !== undefined) throw new Error(controller.output);
    return controller.output.includes('"ready"');
  });
  const gateway = new Child(`altpath gateway ${kind}`, process.execPath, [
    main,
    'gateway',
    kind,
    '--name',
    kind === 'mgcp' ? 'rgw1' : 'gw1',
    '--listen',
    gatewayHost,
    controllerFlag,
    host,
    '--lines',
    '1',
  ]);
  const proxy = `${host}:5060`;
  const phone = await Phone.start({ user: '7001', host: phoneHost, proxy, transport, answer });
  const made = { controller, gateway, phone, proxy };
  await person(made, 'until 1 idle');
  return made;
}

/** The gateway does these one after the other, and says when it is through. */
async function person({ gateway }: Site, ...words: readonly string[]): Promise<void> {
  const before = gateway.output.length;
  gateway.write(`${words.join('\n')}\nwhat?\n`);
  await until(`${words.join(', ')} at the gateway (so far ${gateway.output.slice(before)})`, 25_000, () => {
    const since = gateway.output.slice(before);
    if (/^line \d+ is not/m.test(since)) throw new Error(since);
    return since.includes('no line ""');
  });
}

describe.skipIf(absent)(`a SIP telephone and lines${absent === undefined ? '' : ` (${absent})`}`, () => {
  afterEach(stopAll);

  for (const kind of ['mgcp', 'megaco'] as const) {
    const { number } = kinds[kind];

    it.each(['udp', 'tcp'] as const)(`baresip calls a ${kind} line over %s, and hangs up`, async (transport) => {
      const at = await site(kind, 'manual', transport);
      at.phone.dial(`sip:${number}@${at.proxy}`);
      await at.phone.waitFor('CALL_RINGING');
      await person(at, 'until 1 hears ring', 'offhook 1', 'until 1 talking');
      await at.phone.waitFor('CALL_ESTABLISHED');
      at.phone.hangUp();
      await person(at, 'until 1 hears busy', 'onhook 1', 'until 1 idle');
      await at.phone.stop();
      expect((await at.controller.stop('SIGTERM')).code).toBe(0);
    });

    it(`baresip holds a ${kind} line, and takes it back`, async () => {
      const at = await site(kind, 'manual');
      at.phone.dial(`sip:${number}@${at.proxy}`);
      await person(at, 'until 1 hears ring', 'offhook 1', 'until 1 talking');
      await at.phone.waitFor('CALL_ESTABLISHED');
      for (let turn = 0; turn < 3; turn += 1) {
        const before = at.gateway.output.length;
        const line = () => at.gateway.output.slice(before).trim().split('\n').at(-1) ?? '';
        at.phone.hold();
        await until('the line sends nothing', 5_000, () => line().includes('off-hook') && !line().includes('talks to'));
        at.phone.resume();
        await until('the line talks again', 5_000, () => line().includes('talks to'));
      }
      at.phone.hangUp();
      await person(at, 'until 1 hears busy', 'onhook 1', 'until 1 idle');
      await at.phone.stop();
    });

    it(`baresip calls a ${kind} line, which hangs up`, async () => {
      const at = await site(kind, 'manual');
      at.phone.dial(`sip:${number}@${at.proxy}`);
      await person(at, 'until 1 hears ring', 'offhook 1', 'until 1 talking', 'onhook 1');
      await at.phone.waitFor('CALL_CLOSED');
      await person(at, 'until 1 idle');
      expect(at.phone.has('CALL_ESTABLISHED')).toBe(true);
      await at.phone.stop();
    });

    it.each(['udp', 'tcp'] as const)(`a ${kind} line calls baresip over %s, which hangs up`, async (transport) => {
      const at = await site(kind, 'auto', transport);
      await person(at, 'offhook 1', 'until 1 hears dial', 'dial 1 7001', 'until 1 talking');
      await at.phone.waitFor('CALL_ESTABLISHED');
      at.phone.hangUp();
      await person(at, 'until 1 hears busy', 'onhook 1', 'until 1 idle');
      await at.phone.stop();
    });

    it(`a ${kind} line hears that baresip rings, and gives up`, async () => {
      const at = await site(kind, 'manual');
      await person(at, 'offhook 1', 'until 1 hears dial', 'dial 1 7001', 'until 1 hears ringback');
      await at.phone.waitFor('CALL_INCOMING');
      await person(at, 'onhook 1', 'until 1 idle');
      await at.phone.waitFor('CALL_CLOSED');
      expect(at.phone.has('CALL_ESTABLISHED')).toBe(false);
      await at.phone.stop();
    });

    it(`baresip hears busy from a ${kind} line in use`, async () => {
      const at = await site(kind, 'manual');
      await person(at, 'offhook 1', 'until 1 hears dial');
      at.phone.dial(`sip:${number}@${at.proxy}`);
      const closed = await at.phone.waitFor('CALL_CLOSED');
      expect(closed.param).toContain('486');
      await at.phone.stop();
    });
  }
});
