/** What ops/ asks of Prometheus exists: every metric, and every label that it groups by or selects. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type Controller, startController } from '../../src/index.ts';
import { SipPeer, sipRequest, sipResponse } from '../support/sip-peer.ts';

const ops = join(import.meta.dirname, '../../ops');
const files = ['grafana', 'prometheus'].flatMap((folder) =>
  readdirSync(join(ops, folder)).map((name) => join(ops, folder, name)),
);
const named = [...new Set(files.flatMap((file) => readFileSync(file, 'utf8').match(/altpath_[a-z_]+/g) ?? []))].sort();

/** Of documents (RFC 5737): on no host. */
const floating = '198.51.100.77';

const folder = mkdtempSync(join(tmpdir(), 'altpath-ops-'));
let controller: Controller;
const peers: SipPeer[] = [];
let metrics = '';

/** Calls that are answered, refused and moved, so that what is counted by reason is there. */
beforeAll(async () => {
  const callee = await SipPeer.open('127.0.0.1', (request) => {
    if (request.startsWith('ACK')) return [];
    return request.startsWith('INVITE') && request.includes('sip:9486')
      ? [sipResponse(request, 486, 'Busy Here')]
      : [sipResponse(request, 180, 'Ringing'), sipResponse(request, 200, 'OK')];
  });
  const caller = await SipPeer.open('127.0.0.1');
  const dead = await SipPeer.open('127.0.0.1');
  dead.close();
  peers.push(callee, caller);
  controller = await startController({
    location: `sqlite:${join(folder, 'locations.sqlite')}`,
    cluster: { secret: '0123456789abcdef0123456789abcdef' },
    vip: [floating],
    sip: {
      listen: ['udp:127.0.0.1:0', `udp:${floating}:45061`],
      domains: ['example.com'],
      trunks: [{ name: 'carrier', to: [`udp:127.0.0.1:${dead.port}`], prefixes: ['+49'] }],
      routes: [{ prefix: '9', to: [`udp:127.0.0.1:${dead.port}`, `udp:127.0.0.1:${callee.port}`] }],
    },
    mgcp: { listen: ['127.0.0.1:0'], gateways: [{ name: 'rgw1', addresses: ['127.0.0.1:2427'] }] },
  });
  const port = Number(
    controller.addresses
      .find((address) => address.startsWith('udp'))
      ?.split(':')
      .at(-1),
  );
  for (const user of ['9486', '9200'])
    caller.send(
      sipRequest({ method: 'INVITE', uri: `sip:${user}@example.com`, from: caller, callId: user }),
      port,
      '127.0.0.1',
    );
  await caller.awaits(/^SIP\/2.0 486/);
  const answer = await caller.awaits(/^SIP\/2.0 200/);
  const route = /^Record-Route: (.*)$/m.exec(answer)?.[1];
  caller.send(
    sipRequest({
      method: 'BYE',
      uri: `sip:peer@127.0.0.1:${callee.port}`,
      to: 'sip:9200@example.com',
      toTag: 'callee',
      from: caller,
      callId: '9200',
      cseq: 2,
      fields: [`Route: ${route}`],
    }),
    port,
    '127.0.0.1',
  );
  await caller.awaits(/CSeq: 2 BYE/);
  metrics = await controller.metrics();
});

afterAll(async () => {
  await controller.stop();
  for (const peer of peers) peer.close();
  rmSync(folder, { recursive: true });
});

describe('ops/', () => {
  it('names metrics', () => {
    expect(named.length).toBeGreaterThan(20);
  });

  it.each(named)('%s exists', (name) => {
    const family = name.replace(/_(?:bucket|sum|count)$/, '');
    expect(metrics).toMatch(new RegExp(`^# TYPE ${family} `, 'm'));
    if (family !== name) expect(metrics).toMatch(new RegExp(`^# TYPE ${family} histogram`, 'm'));
  });

  it('the dashboard is what scripts/grafana.ts makes: every panel has a query, and none lies over another', () => {
    const dashboard: {
      panels: {
        type: string;
        title: string;
        targets?: { expr: string }[];
        gridPos: { x: number; y: number; w: number; h: number };
      }[];
    } = JSON.parse(readFileSync(join(ops, 'grafana/altpath.json'), 'utf8'));
    const panels = dashboard.panels.filter(({ type }) => type !== 'row');
    expect(panels.length).toBeGreaterThan(12);
    for (const { targets } of panels) expect(targets?.every(({ expr }) => expr.includes('altpath_'))).toBe(true);
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, at) => `${x + (at % w)},${y + Math.floor(at / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
  });

  it('each alert says how bad it is, what is wrong, and what to do', () => {
    const { groups }: { groups: { rules: { alert: string; expr: string; labels: object; annotations: object }[] }[] } =
      parse(readFileSync(join(ops, 'prometheus/alerts.yaml'), 'utf8'));
    const rules = groups.flatMap((group) => group.rules);
    expect(rules.length).toBeGreaterThan(8);
    for (const rule of rules)
      expect(rule).toMatchObject({
        alert: expect.stringMatching(/^Altpath[A-Z]/),
        expr: expect.any(String),
        labels: { severity: expect.stringMatching(/^(?:critical|warning|info)$/) },
        annotations: { summary: expect.any(String), action: expect.any(String) },
      });
  });
});
