import { afterEach, describe, expect, it } from 'vitest';
import { type AdminServer, startAdmin } from '../../../src/admin.ts';
import { bans } from '../../../src/cli/bans.ts';
import { coreSchema } from '../../../src/config/core-schema.ts';
import { OverloadGuard } from '../../../src/controller/overload-guard.ts';
import { Metrics, silentLog, systemClock, systemRandom } from '../../../src/internal.ts';

let server: AdminServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function rig(adminToken?: string) {
  const metrics = new Metrics();
  const guard = new OverloadGuard({
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    metrics,
    settings: coreSchema.parse({}).overload,
    ports: () => [],
  });
  server = await startAdmin(
    { host: '127.0.0.1', port: 0 },
    {
      metrics,
      log: silentLog,
      state: () => 'ready',
      status: () => guard.status(),
      calls: () => [],
      peers: () => [],
      registrations: () => [],
      explain: () => ({}),
      drain: () => undefined,
      lists: guard.lists,
      orders: guard.orders,
      removals: guard.removals,
    },
    adminToken,
  );
  const flags = { admin: [`127.0.0.1:${server.address.port}`], token: adminToken, json: false, limit: 100 };
  const at = `http://127.0.0.1:${server.address.port}`;
  return { guard, flags, at };
}

const show = { source: undefined, lift: false, seconds: undefined };

describe('altpath bans', () => {
  it('shows who is banned, bans and lifts', async () => {
    const { flags, guard } = await rig();
    expect(await bans(flags, show)).toBe('nobody is banned');
    expect(await bans(flags, { source: '192.0.2.7', lift: false, seconds: 600 })).toBe('192.0.2.7 is banned');
    expect(guard.status()).toMatchObject({ bans: 1, overload: { state: 'calm', keptPercent: 100 } });
    const shown = await bans(flags, show);
    expect(shown).toMatch(/192\.0\.2\.7 +operator/);
    const rows: unknown = JSON.parse(await bans({ ...flags, json: true }, show));
    expect(rows).toMatchObject([{ source: '192.0.2.7', because: 'operator', times: 1, dropped: 0 }]);
    expect(await bans(flags, { source: '192.0.2.7', lift: true, seconds: undefined })).toBe('192.0.2.7 may send again');
    await expect(bans(flags, { source: '192.0.2.7', lift: true, seconds: undefined })).rejects.toThrow(/is not banned/);
  });

  it('takes an IPv6 /64 as the list shows it', async () => {
    const { flags } = await rig();
    await bans(flags, { source: '2001:db8::1', lift: false, seconds: undefined });
    expect(await bans(flags, show)).toContain('2001:db8:0:0::/64');
    await bans(flags, { source: '2001:db8:0:0::/64', lift: true, seconds: undefined });
    expect(await bans(flags, show)).toBe('nobody is banned');
  });

  it('says what is no address and no time', async () => {
    const { flags } = await rig();
    await expect(bans(flags, { source: 'example.com', lift: false, seconds: 1 })).rejects.toThrow(/an IP address/);
    await expect(bans(flags, { source: '192.0.2.7', lift: false, seconds: -1 })).rejects.toThrow(/whole number/);
  });

  it('is for those who may give orders', async () => {
    const { at, flags } = await rig('0123456789abcdef');
    const order = (method: string, headers: Record<string, string>) =>
      fetch(`${at}/bans?source=192.0.2.7`, { method, headers }).then(({ status }) => status);
    expect(await order('POST', {})).toBe(403);
    expect(await order('DELETE', { 'x-altpath': 'x' })).toBe(401);
    expect(await order('DELETE', {})).toBe(403);
    expect(await bans(flags, { source: '192.0.2.7', lift: false, seconds: undefined })).toBe('192.0.2.7 is banned');
  });
});
