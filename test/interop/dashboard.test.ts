/**
 * The dashboard in a real browser, before a pair of which one dies: what an operator sees of a failover, of calls that failed, and what he
 * may do with and without the token. With ALTPATH_SCREENSHOTS=docs/images the pictures of the documents are made anew.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CallRecord } from '../../protocols/sip/demo/call-record.ts';
import { LoadAgent } from '../../protocols/sip/demo/load-agent.ts';
import { Telephone } from '../../protocols/sip/telephone/index.ts';
import {
  type ControllerAddress,
  createNetwork,
  Metrics,
  silentLog,
  systemClock,
  systemRandom,
} from '../../src/internal.ts';
import { SipPeer, sipResponse } from '../support/sip-peer.ts';
import { Child, stopAll } from './support/child.ts';
import { freeHost } from './support/hosts.ts';
import { missing, program } from './support/programs.ts';
import { scratchDirectory } from './support/scratch.ts';
import { until } from './support/until.ts';

const main = new URL('../../src/main.ts', import.meta.url).pathname;
const absent = missing('chromium');
const token = 'a-token-for-this-test-only';
const domain = 'example.com';
/** Long enough for a machine that has much else to do. */
const waits = { timeout: 60_000 };

const { ALTPATH_SCREENSHOTS: documents } = process.env;

/** What somebody behind a route says to a call whose number ends so. */
function refusalOf(request: string): readonly string[] {
  const status = /^INVITE sip:9(\d{3})@/.exec(request)?.[1];
  const reasons: Readonly<Record<string, string>> = {
    '401': 'Unauthorized',
    '482': 'Loop Detected',
    '488': 'Not Acceptable Here',
    '503': 'Service Unavailable',
    '504': 'Server Time-out',
  };
  const reason = status === undefined ? undefined : reasons[status];
  return reason === undefined ? [] : [sipResponse(request, Number(status), reason)];
}

const stops: (() => Promise<void>)[] = [];

interface Member {
  readonly name: string;
  readonly sip: ControllerAddress;
  readonly page: string;
  readonly child: Child;
}

/** Two members with a gateway's line each could serve, and an admin server of their own. */
async function startPair(): Promise<readonly [Member, Member]> {
  const hosts = [await freeHost(5060, 2727, 9060, 9061), await freeHost(5060, 2727, 9060, 9061)] as const;
  const directory = scratchDirectory('dashboard');
  const file = join(directory, 'pair.yaml');
  const names = ['a', 'b'] as const;
  const beyond = await SipPeer.open('127.0.0.1', (request) => (request.startsWith('INVITE') ? refusalOf(request) : []));
  stops.push(async () => beyond.close());
  writeFileSync(
    file,
    JSON.stringify({
      log: { level: 'info', format: 'json' },
      adminToken: token,
      location: `sqlite:${join(directory, 'locations.sqlite')}`,
      cluster: { secret: systemRandom.hex(16) },
      nodes: Object.fromEntries(
        names.map((name, index) => [
          name,
          { sip: [`udp:${hosts[index]}:5060`], mgcp: [`${hosts[index]}:2727`], admin: `${hosts[index]}:9060` },
        ]),
      ),
      sip: {
        domains: [domain],
        routes: [
          { prefix: '00', to: ['udp:127.0.0.1:1'] },
          { prefix: '01', to: ['udp:nowhere.invalid:5060'] },
          { prefix: '9', to: [`udp:127.0.0.1:${beyond.port}`] },
        ],
        timers: { holdMs: 1_500, downProbeMs: 250 },
      },
      mgcp: {
        gateways: [{ name: 'rgw1', addresses: [`${await freeHost(2427)}:2427`] }],
        lines: [
          { number: '200', endpoint: 'aaln/1@rgw1' },
          { number: '201', endpoint: 'aaln/2@rgw1' },
        ],
      },
    }),
  );
  const members = names.map((name, index): Member => {
    const host = hosts[index] ?? '';
    const child = new Child(`altpath ${name}`, process.execPath, [main, 'run', '-c', file, '--node', name]);
    return { name, sip: { transport: 'udp', host, port: 5060 }, page: `http://${host}:9060/`, child };
  });
  for (const { child, page } of members) {
    await child.waitForOutput(/"msg":"ready"/, 20_000);
    expect(child.output).toContain(`dashboard on ${page}`);
  }
  const [a, b] = members;
  if (a === undefined || b === undefined) throw new Error('no pair');
  return [a, b];
}

async function telephone(
  user: string,
  servers: readonly ControllerAddress[],
  incoming: { ringMs?: number; busy?: boolean },
) {
  const parts = { clock: systemClock, log: silentLog, metrics: new Metrics() };
  const made = new Telephone(
    { ...parts, random: systemRandom, network: createNetwork(parts) },
    {
      user,
      domain,
      listen: { transport: 'udp', host: await freeHost(5060), port: 5060 },
      servers,
      incoming: { ringMs: incoming.ringMs ?? 300, busy: incoming.busy === true },
      timers: { holdMs: 1_500, downProbeMs: 250 },
    },
  );
  await made.start();
  expect((await made.register()).status).toBe(200);
  return made;
}

/** In the sizes of a desk and of a hand, by night and by day; nothing may stick out. */
async function shoot(page: Page, name: string, inDocuments: readonly string[] = []): Promise<void> {
  const folder = scratchDirectory('dashboard-pictures');
  for (const [width, height] of [
    [1280, 900],
    [390, 844],
  ] as const)
    for (const colorScheme of ['dark', 'light'] as const) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme });
      // Charts and ladders are as wide as their places only after they were measured.
      await page.evaluate('new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)))');
      const [shown, visible] = await page.evaluate<[number, number]>(
        '[document.documentElement.scrollWidth, window.innerWidth]',
      );
      expect(shown, `${name} at ${width} pixels`).toBeLessThanOrEqual(visible);
      const version = `${width}-${colorScheme}`;
      const isKept = documents !== undefined && inDocuments.includes(version);
      if (isKept) mkdirSync(documents, { recursive: true });
      const path = join(isKept ? documents : folder, `dashboard-${name}-${version}.png`);
      await page.screenshot({ path });
      if (process.env['ALTPATH_KEEP'] !== undefined) console.log(path);
    }
  await page.setViewportSize({ width: 1280, height: 900 });
}

describe.skipIf(absent)(`the dashboard in Chromium${absent === undefined ? '' : ` (${absent})`}`, () => {
  let browser: Browser;
  let pair: readonly [Member, Member];
  const complaints: string[] = [];
  const phones: { stop(): Promise<void> }[] = [];

  const open = async ({ page: address }: Member): Promise<Page> => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, acceptDownloads: true });
    const page = await context.newPage();
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      // The browser itself complains of connections that fail; that one dies is the purpose.
      if (message.type() === 'error' && !/Failed to load resource|ERR_/.test(message.text()))
        complaints.push(message.text());
    });
    page.setDefaultTimeout(waits.timeout);
    await page.goto(address);
    await page.getByText('live', { exact: true }).waitFor();
    return page;
  };
  const go = (page: Page, name: string) => page.getByRole('navigation').getByRole('button', { name }).click();

  beforeAll(async () => {
    pair = await startPair();
    browser = await chromium.launch({ executablePath: program('chromium'), args: ['--no-sandbox'] });
  }, 60_000);
  afterAll(async () => {
    await Promise.all(phones.map((each) => each.stop()));
    await browser?.close();
    for (const stop of stops) await stop();
    await stopAll();
  });

  it('is read-only without the token, takes it in a header alone, and orders with it', async () => {
    const [a] = pair;
    const page = await open(a);
    const asked: string[] = [];
    page.on('request', (request) => asked.push(request.url()));
    expect(await page.getByText('read-only', { exact: true }).isVisible()).toBe(true);
    await go(page, 'Orders');
    expect(await page.getByRole('button', { name: 'Set', exact: true }).isDisabled()).toBe(true);
    expect(await page.getByRole('button', { name: 'Drain …' }).isDisabled()).toBe(true);

    await page.locator('#log-in').click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('textbox').or(dialog.locator('input')).first().fill('not-the-token');
    await dialog.getByRole('button', { name: 'Log in' }).click();
    await page.getByText('That is not the token of this controller.').waitFor();
    await dialog.locator('input').fill(token);
    await dialog.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('button', { name: 'Log out' }).waitFor();
    await shoot(page, 'orders');

    await page.getByLabel('Only about').fill('bob');
    await page.getByRole('button', { name: 'Set', exact: true }).click();
    await page.getByText('Done.').waitFor();
    expect(await page.locator('section[aria-label="Log level"]').textContent()).toMatch(
      /debug.*about bob, ends in \d+/s,
    );
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'pcap' }).click();
    expect((await download).suggestedFilename()).toBe('altpath-trace.pcap');
    await page.getByRole('button', { name: 'As configured' }).click();

    // The page keeps it for this tab; a new one has none.
    await page.reload();
    await page.getByRole('button', { name: 'Log out' }).waitFor();
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByText('read-only', { exact: true }).waitFor();
    expect(asked.filter((url) => url.includes(token))).toEqual([]);
    expect(page.url()).toBe(`${a.page}dashboard/`);
    expect(await page.evaluate(() => JSON.stringify([...Object.entries(sessionStorage)]))).not.toContain(token);
    await page.context().close();
  });

  it('says in sentences why planted failures failed, and shows the messages of each', async () => {
    const [a, b] = pair;
    const servers = [a.sip, b.sip];
    const alice = await telephone('alice', servers, {});
    const carol = await telephone('carol', servers, { busy: true });
    phones.push(alice, carol);
    const page = await open(a);
    const planted = ['carol', 'nobody', '0049301234', '01234', '9401', '9482', '9488', '9503', '9504', '200'];
    for (const to of planted) await alice.call(to).ended;
    await go(page, 'Failures');
    await page.getByText(`carol@${domain} was busy.`).waitFor();
    await page.getByText(`Nobody here is nobody@${domain}.`).waitFor();
    await page.getByText('No hop took the call: every address failed.').waitFor();
    for (const sentence of [
      'The next hop has no address: its name does not resolve, or no route leads there.',
      'The caller did not show the right credentials.',
      'The call went in a circle.',
      'The two ends have no codec in common.',
      'A hop has too much to do.',
      'Somebody on the way did not answer in time.',
      // Its gateway is not there.
      '200 is known, but not registered or not reachable now.',
    ])
      await page.getByText(sentence).first().waitFor();
    await page.locator('.groups').getByText('Busy').waitFor();
    await shoot(page, 'failures', ['390-light']);
    await page.locator('.failed-call').filter({ hasText: 'was busy' }).click();
    await page.locator('.arrow.refusal').first().waitFor();
    expect(await page.locator('.arrow.refusal .label').first().textContent()).toContain('486');
    await page.locator('.arrow').first().press('Enter');
    expect(await page.getByRole('region', { name: 'The message' }).textContent()).toContain(
      `INVITE sip:carol@${domain}`,
    );
    // What was tried first is drawn, with why it failed.
    await page.getByRole('button', { name: '← back' }).click();
    await page.locator('.failed-call').filter({ hasText: 'No hop took' }).click();
    await page.locator('.ladder svg').waitFor();
    await page.context().close();
  });

  it('shows a failover: the strip changes, the ladder has the switch, and the dead one’s page leads to the survivor', async () => {
    const [a, b] = pair;
    const servers = [a.sip, b.sip];
    const alice = await telephone('anna', servers, {});
    const bob = await telephone('bob', servers, { ringMs: 6_000 });
    phones.push(alice, bob);
    const records = new Map<string, CallRecord>();
    const common = { domain, proxy: a.sip, backup: b.sip, ringMs: 150, holdMs: 1_500, records, kind: 'aware' as const };
    const callers = new LoadAgent({ ...common, user: 'traffic', host: await freeHost(5060) });
    const called = new LoadAgent({ ...common, user: 'service', host: await freeHost(5060) });
    phones.push(callers, called);
    for (const agent of [callers, called]) {
      await agent.start();
      expect(await agent.register()).toBe(200);
    }
    const [onA, onB] = [await open(a), await open(b)];
    expect(await onB.locator('[data-member="a"]').textContent()).toMatch(/lives/);
    let traffic = true;
    const running = (async () => {
      while (traffic) {
        callers.call('service', 1_500, 'caller');
        await new Promise((next) => setTimeout(next, 120));
      }
    })();

    const call = alice.call('bob');
    // It rings: the primary has passed the INVITE on, and dies before the answer.
    await go(onA, 'Calls');
    const row = onA.locator('.call').filter({ hasText: `anna@${domain}` });
    await row.filter({ hasText: 'ringing' }).waitFor();
    await row.click();
    await onA.locator('.arrow .label').filter({ hasText: '180' }).first().waitFor();
    await a.child.stop('SIGKILL');

    await onB.locator('[data-member="a"]').filter({ hasText: 'dead since' }).waitFor();
    await onB.locator('[data-member="b"]').filter({ hasText: 'stands in for a' }).waitFor();
    await onB.locator('.happenings').getByText('a does not answer any more').first().waitFor();
    await onA.getByText('The controller a does not answer').waitFor();
    expect(await onA.getByRole('link', { name: 'dashboard of b' }).getAttribute('href')).toBe(`${b.page}dashboard/`);

    await until('the call is answered by way of the survivor', 30_000, () => call.state === 'answered');
    await go(onB, 'Calls');
    const taken = onB.locator('.call').filter({ hasText: `anna@${domain}` });
    await taken.filter({ hasText: 'talking' }).waitFor();
    await taken.click();
    await onB.locator('.band.bad').filter({ hasText: 'a died: b goes on in its place' }).waitFor();
    await onB.locator('.arrow .label').filter({ hasText: '200 OK (INVITE)' }).first().waitFor();
    expect(await onB.locator('.ladder-heads .dead').textContent()).toContain('a');
    await shoot(onB, 'ladder', ['1280-dark', '390-dark']);
    await shoot(onA, 'gone');

    // Ten seconds of figures, that the charts have what to show.
    await go(onB, 'Overview');
    await onB.locator('.chart').first().waitFor();
    await until('calls of the survivor are in the charts', 30_000, async () => {
      const text = await onB.locator('.chart figcaption').first().textContent();
      return /begun\s*[1-9]/.test(text ?? '');
    });
    await shoot(onB, 'overview', ['1280-light', '390-dark']);
    await go(onB, 'Network');
    await onB.getByRole('button', { name: 'Registrations' }).click();
    await onB.getByText(`bob@${domain}`).first().waitFor();
    await onB.getByRole('button', { name: 'Lines' }).click();
    await onB.getByText('aaln/1@rgw1').waitFor();
    await onB.getByRole('button', { name: 'Peers' }).click();
    await onB.locator('td').filter({ hasText: 'dead' }).first().waitFor();
    await shoot(onB, 'network');

    traffic = false;
    await running;
    call.hangUp();
    await call.ended;
    await go(onB, 'Calls');
    await onB.getByRole('button', { name: 'Ended' }).click();
    await onB.getByRole('searchbox').fill('anna');
    await onB.locator('.call').first().waitFor();
    await shoot(onB, 'calls');
    expect(complaints).toEqual([]);
  }, 180_000);
});
