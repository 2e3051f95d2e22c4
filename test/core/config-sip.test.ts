import { describe, expect, it } from 'vitest';
import { sipConfigSchema, sipDefaultPort } from '../../protocols/sip/config.ts';
import { formatAddress, transports } from '../../src/internal.ts';

/** What the schema says about this section, as `path: message`. */
const objections = (section: unknown): readonly string[] =>
  sipConfigSchema.safeParse(section).error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? [];

describe('the sip section', () => {
  it('listens on loopback by default, over UDP and TCP', () => {
    expect(sipConfigSchema.parse({}).listen.map(formatAddress)).toEqual(['udp:127.0.0.1:5060', 'tcp:127.0.0.1:5060']);
  });

  it('assumes the port of each transport (RFC 3261 §19.1.2, RFC 7118 §5.5)', () => {
    expect(transports.map(sipDefaultPort)).toEqual([5060, 5060, 5061, 80, 443]);
    const tls = { certFile: import.meta.filename, keyFile: import.meta.filename };
    const listen = transports.map((transport) => `${transport}:[::1]`);
    expect(sipConfigSchema.parse({ listen, tls }).listen.map(({ port }) => port)).toEqual([5060, 5060, 5061, 80, 443]);
  });

  it('lets Timer C exceed three minutes only (RFC 3261 §16.6 item 11)', () => {
    expect(sipConfigSchema.parse({}).timers.timerCMs).toBeGreaterThan(180_000);
    expect(objections({ timers: { timerCMs: 180_000 } })).toHaveLength(1);
  });

  it('leaves port and transport of a next hop to DNS where they are not written (RFC 3263 §4)', () => {
    const to = ['example.com', 'tls:example.com', '192.0.2.1:5080', 'tcp:[::1]:5062'];
    expect(sipConfigSchema.parse({ routes: [{ prefix: '+49', to }] }).routes[0]?.to).toEqual([
      { host: 'example.com' },
      { host: 'example.com', transport: 'tls' },
      { host: '192.0.2.1', port: 5080 },
      { host: '::1', port: 5062, transport: 'tcp' },
    ]);
  });

  it('takes its own output again', () => {
    const config = sipConfigSchema.parse({
      backup: ['127.0.0.2'],
      routes: [{ domain: 'Example.COM', to: ['a.example'] }],
    });
    expect(sipConfigSchema.parse(config)).toEqual(config);
    expect(config.routes[0]?.domain).toBe('example.com');
  });

  it.each([
    [{ listen: ['tls:127.0.0.1'] }, 'listen.0: a tls listener needs tls.certFile and tls.keyFile'],
    [{ listen: ['sip.example.com'] }, 'listen.0: "sip.example.com" is a name: listen on an IP address'],
    [{ tls: { certFile: '/nowhere/a.pem' } }, 'tls.certFile: cannot read "/nowhere/a.pem": no such file or directory'],
    [{ routes: [{ to: ['a.example'] }] }, 'routes.0: a route needs a domain or a prefix'],
    [
      { routes: [{ prefix: 'abc-', to: ['a.example'] }] },
      'routes.0.prefix: must be the first characters of a number, such as +49 or 00',
    ],
    [{ domains: ['example.com:5060'] }, 'domains.0: must be a domain name or an IP address, without a port'],
    [{ auth: { users: [{ user: 'a' }] } }, 'auth.users.0: a user needs either a password or ha1 (md5, sha256)'],
    [
      { auth: { users: [{ user: 'a', password: 'b', ha1: { md5: '0'.repeat(32) } }] } },
      'auth.users.0: a user needs either a password or ha1 (md5, sha256)',
    ],
    [
      { auth: { users: [{ user: 'a', ha1: { sha256: '00' } }] } },
      'auth.users.0.ha1.sha256: must be 64 hexadecimal digits',
    ],
    [
      { registrar: { minExpiresSeconds: 3600, defaultExpiresSeconds: 60 } },
      'registrar: must hold: minExpiresSeconds <= defaultExpiresSeconds <= maxExpiresSeconds',
    ],
  ])('refuses %j', (section, objection) => {
    expect(objections(section)).toEqual([objection]);
  });
});
