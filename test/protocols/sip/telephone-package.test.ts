import { createRequire } from 'node:module';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { followAlternatePath } from '../../../protocols/sip/telephone/index.ts';
import type { PackageRequest, PackageResponse, SipPackage } from '../../../protocols/sip/telephone/sip-types.ts';
import { domain, TelephoneWorld, until } from './telephone-world.ts';

/** As the package's own users know it, with the functions that `start` puts on it. */
type StartedPackage = SipPackage & {
  start(options: object, onRequest: (request: PackageRequest) => void): void;
  send(message: PackageRequest, onResponse: (response: PackageResponse) => void): void;
  stop(): void;
};

const sip: StartedPackage = createRequire(import.meta.url)('sip');

let world: TelephoneWorld;

beforeEach(() => {
  world = new TelephoneWorld();
});

afterEach(() => world.stop());

const message = (seq: number): PackageRequest => ({
  method: 'MESSAGE',
  uri: `sip:bob@${domain}`,
  headers: {
    from: { uri: `sip:carol@${domain}`, params: { tag: 'c' } },
    to: { uri: `sip:bob@${domain}`, params: {} },
    'call-id': `app-${seq}`,
    cseq: { seq, method: 'MESSAGE' },
    'max-forwards': 70,
    route: [{ uri: `sip:127.0.0.1:${world.port};lr`, params: {} }],
  },
});

const answer = (request: PackageRequest): Promise<number> =>
  new Promise((resolve) => sip.send(request, ({ status }) => resolve(status)));

describe('an application written on the npm package sip', () => {
  it('follows AlternatePath after one call, its code unchanged', async () => {
    await world.startPair();
    const bob = await world.telephone('127.0.0.4', 'bob');
    await bob.register();
    const switches: string[] = [];
    followAlternatePath(sip, {
      controllers: [[`127.0.0.1:${world.port}`, `127.0.0.2:${world.port}`]],
      onSwitch: ({ method, from, to }) => switches.push(`${method} ${from.host} ${to.host}`),
    });
    sip.start({ address: '127.0.0.6', port: world.port + 1, tcp: false }, () => undefined);
    try {
      expect(await answer(message(1))).toBe(200);
      await world.kill('127.0.0.1');
      expect(await answer(message(2))).toBe(200);
      expect(switches).toEqual(['MESSAGE 127.0.0.1 127.0.0.2']);
      // The second pays nothing: the dead one is remembered.
      expect(await answer(message(3))).toBe(200);
      expect(switches).toHaveLength(1);
    } finally {
      sip.stop();
    }
  });

  it('says which rule cannot be read', () => {
    const copy = { create: sip.create };
    followAlternatePath(copy, { trust: ['not a rule!'] });
    expect(() => copy.create({ address: '127.0.0.6', port: world.port + 1, tcp: false }, () => undefined)).toThrow(
      '"not a rule!" is no address, network or domain',
    );
  });

  it('tells the application about a port that is taken, where it asks to be told', async () => {
    await world.startPair();
    let told: unknown;
    const copy = { create: sip.create };
    followAlternatePath(copy, {
      onError: (error) => {
        told = error;
      },
    });
    copy.create({ address: '127.0.0.1', port: world.port, tcp: false }, () => undefined);
    await until(() => told !== undefined, 'the error');
    expect(String(told)).toContain(`127.0.0.1:${world.port}`);
  });
});
