import { describe, expect, it } from 'vitest';
import { sipConfigSchema } from '../../../protocols/sip/config.ts';
import { createSipRole } from '../../../protocols/sip/role.ts';
import { sipWarnings } from '../../../protocols/sip/warnings.ts';
import { Metrics, silentLog, wellKnownSecret } from '../../../src/internal.ts';
import { MemoryLocations } from '../../../src/location/memory.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { withCallControl } from '../../support/services.ts';

const routes = [{ prefix: '00', to: ['127.0.0.9'] }];
const users = [{ user: 'alice', password: 'x' }];
const warningsOf = (config: object): readonly string[] => sipWarnings(sipConfigSchema.parse(config));

describe('what check and every start say of a SIP section', () => {
  it('every listener beyond loopback while nobody is asked for credentials and routes exist, in one line', () => {
    const listen = [
      'udp:127.0.0.1:5060',
      'udp:192.0.2.1:5060',
      'tcp:[2001:db8::1]:5060',
      'tcp:[::1]:5060',
      'udp:0.0.0.0:5070',
    ];
    for (const table of [{ routes }, { defaultRoute: ['127.0.0.9'] }])
      expect(warningsOf({ listen, ...table })).toEqual([
        'auth.invite is off and there are routes: whoever reaches udp:192.0.2.1:5060, tcp:[2001:db8::1]:5060, udp:0.0.0.0:5070 may use them',
      ]);
  });

  it('nothing on loopback, without routes, or with credentials', () => {
    expect(warningsOf({ routes })).toEqual([]);
    expect(warningsOf({ listen: ['udp:192.0.2.1:5060'] })).toEqual([]);
    expect(
      warningsOf({ listen: ['udp:192.0.2.1:5060'], routes, auth: { register: true, invite: true, users } }),
    ).toEqual([]);
  });

  it('credentials that are half of what they seem', () => {
    expect(warningsOf({ auth: { invite: true, users }, recordRoute: false }).map((line) => line.split(':')[0])).toEqual(
      ['auth.register is off', 'recordRoute is off'],
    );
  });

  it('and no start at all where everybody knows the secret that proves dialogs', () => {
    const clock = new FakeClock();
    const nothing = () => Promise.reject(new Error('not asked'));
    const services = withCallControl({
      clock,
      random: seededRandom(1),
      log: silentLog,
      metrics: new Metrics(),
      network: { bind: nothing },
      dns: { naptr: nothing, srv: nothing, a: nothing, aaaa: nothing },
      locations: new MemoryLocations({ clock }),
      cluster: { secret: wellKnownSecret, backups: [], backupFor: [] },
    });
    const config = sipConfigSchema.parse({ auth: { register: true, invite: true, users } });
    expect(() => createSipRole(services, config, { trust: [], allow: [], strip: 'none' })).toThrow('cluster.secret');
  });
});
