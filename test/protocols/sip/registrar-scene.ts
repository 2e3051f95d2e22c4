/** A registrar alone, with what it answers and keeps. */
import { expect } from 'vitest';
import { decode } from '../../../protocols/sip/codec/decode.ts';
import type { SipMessage } from '../../../protocols/sip/codec/messages.ts';
import { Identity } from '../../../protocols/sip/identity.ts';
import type { FlowTokens } from '../../../protocols/sip/proxy/flow-token.ts';
import { ContactPlaces } from '../../../protocols/sip/registrar/contact-places.ts';
import { Registrar, type RegistrarParts, type RegistrarRules } from '../../../protocols/sip/registrar/registrar.ts';
import {
  type Contact,
  type ControllerAddress,
  type Flow,
  formatSocketAddress,
  type Listener,
  type LocationService,
  Metrics,
  silentLog,
  type Transport,
} from '../../../src/internal.ts';
import { MemoryLocations } from '../../../src/location/memory.ts';
import { assemblerOf } from '../../support/assembler.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { flowStore } from '../../support/sip-flow-store.ts';

export const rules: RegistrarRules = {
  minExpiresSeconds: 60,
  maxExpiresSeconds: 7_200,
  defaultExpiresSeconds: 3_600,
  maxContacts: 3,
  serviceRoute: false,
  path: 'strict',
};

export interface World {
  readonly clock: FakeClock;
  readonly locations: LocationService;
  /** Sends wire bytes, returns the answer as text ('' where none has come yet). */
  readonly send: (text: string, flow?: Flow) => string;
  /** The last answer, after promises settled. */
  readonly answer: () => Promise<string>;
  readonly register: (fields: string, options?: RegisterOptions) => Promise<string>;
  /** Live contacts of Alice. */
  readonly contacts: () => readonly Contact[];
  /** Open connections; those that requests came over are. */
  readonly open: Map<string, Flow>;
  /** What the flow tokens of Alice's contacts name. */
  readonly flowIds: () => readonly (string | undefined)[];
}

export interface RegisterOptions {
  readonly callId?: string;
  readonly cseq?: number;
  readonly to?: string;
  readonly uri?: string;
  readonly vias?: string;
  readonly flow?: Flow;
}

export function world(more: Partial<RegistrarParts> = {}, moreRules: Partial<RegistrarRules> = {}): World {
  const clock = new FakeClock();
  const locations = more.locations ?? new MemoryLocations({ clock });
  const backup: ControllerAddress = { transport: 'udp', host: '127.0.0.2', port: 5_060 };
  const assembler = assemblerOf<SipMessage>({ backups: [backup], backupFor: [] });
  const identity = new Identity(
    {
      domains: ['example.com', 'example.org', '2001:db8::10', '2001:db8::10:5070'],
      placement: 'header',
      partners: [backup],
      secret: 's',
    },
    assembler,
  );
  identity.bound([listener]);
  const { tokens, flows, open } = flowStore();
  const registrar = new Registrar({
    locations,
    clock,
    log: silentLog,
    metrics: new Metrics(),
    identity,
    flows,
    rules: { ...rules, ...moreRules },
    authorize: () => undefined,
    asksForCredentials: false,
    places: new ContactPlaces({
      identity,
      allow: [],
      isUser: () => false,
      trust: { isConfigured: () => false, isTrusted: () => false },
    }),
    trustedAlternates: (named) => named ?? [],
    ...more,
  });
  let last = '';
  let cseq = 0;
  const send = (text: string, flow = flowOf('udp')) => {
    const decoded = decode(Buffer.from(text, 'latin1'));
    if (!decoded.ok) throw new Error(`test request does not decode: ${decoded.error.reason}`);
    last = '';
    if (flow.reliable) open.set(flow.id, flow);
    registrar.register(decoded.value, flow, (status, text) => {
      expect(last).toBe('');
      last = text;
      expect(last.startsWith(`SIP/2.0 ${status} `)).toBe(true);
      const readable = decode(Buffer.from(last, 'latin1'));
      expect(readable.ok).toBe(true);
    });
    return last;
  };
  const answer = async () => {
    await new Promise((resolve) => setImmediate(resolve));
    return last;
  };
  return {
    clock,
    locations,
    send,
    answer,
    contacts: () => locations.lookup('alice@example.com'),
    open,
    flowIds: () => locations.lookup('alice@example.com').map(({ flow }) => idOf(tokens, flow)),
    register(fields, options = {}) {
      cseq += 1;
      const to = options.to ?? 'sip:alice@example.com';
      send(
        `REGISTER ${options.uri ?? 'sip:example.com'} SIP/2.0\r\n${options.vias ?? 'Via: SIP/2.0/UDP 127.0.0.9:5062;branch=z9hG4bKa\r\n'}From: <${to}>;tag=f1\r\nTo: <${to}>\r\nCall-ID: ${options.callId ?? 'reg-1'}\r\nCSeq: ${options.cseq ?? cseq} REGISTER\r\nMax-Forwards: 70\r\n${fields}Content-Length: 0\r\n\r\n`,
        options.flow,
      );
      return answer();
    },
  };
}

export function idOf(tokens: FlowTokens, token: string | undefined): string | undefined {
  const way = token === undefined ? undefined : tokens.read(token)?.way;
  return way?.kind === 'datagram' ? formatSocketAddress(way.remote) : way?.id;
}

export const listener: Listener = {
  local: { transport: 'udp', host: '127.0.0.1', port: 5_060 },
  flowTo: (remote) => flowOf('udp', { ...remote }),
  flowById: () => undefined,
  connections: 0,
  close: () => Promise.resolve(),
};

export function flowOf(transport: Transport, remote = { host: '127.0.0.9', port: 5_062 }): Flow {
  return {
    transport,
    reliable: transport !== 'udp',
    local: { host: '127.0.0.1', port: 5_060 },
    remote,
    id: `${transport}-7`,
    send: () => undefined,
    close: () => undefined,
  };
}

export const fieldsOf = (answer: string, name: string): readonly string[] =>
  answer
    .split('\r\n')
    .filter((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
    .map((line) => line.slice(name.length + 1).trim());

export const statusOf = (answer: string): string => answer.slice(8, 11);

export const phone = 'Contact: <sip:alice@127.0.0.9:5062>\r\n';
