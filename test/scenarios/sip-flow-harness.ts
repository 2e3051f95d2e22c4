/** RFC 5626 §5.3, §7 over two members of a cluster: whoever is connected to one is reached through both, and nobody gets what is another's. */
import { afterEach, expect } from 'vitest';
import { createFraming } from '../../protocols/sip/codec/framing.ts';
import { parseAddress } from '../../src/internal.ts';
import { answerTo, fieldsOf, gist, Peer, request, statusOf } from '../protocols/sip/world.ts';
import { domain, hosts, SipWorld } from '../support/sip-world.ts';

export const { primary, backup } = hosts;

let open: SipWorld | undefined;

afterEach(async () => {
  await open?.stop();
  open = undefined;
});

export const config = {
  domains: [domain],
  listen: [] as string[],
};

/** A cluster without members, stopped after the test. */
export function empty(): SipWorld {
  open = new SipWorld();
  return open;
}

export async function pair(): Promise<SipWorld> {
  const world = empty();
  await member(world, primary, backup);
  await member(world, backup, primary);
  return world;
}

export const member = (world: SipWorld, host: string, partner: string) =>
  world.node(host, {
    config: { ...config, listen: [`udp:${host}:5060`, `tcp:${host}:5060`, `ws:${host}:5080`] },
    backups: [partner],
    backupFor: [partner],
  });

/** A telephone that connects from anywhere: it says its address in no way that could be dialled, unless asked to listen. */
export class Phone extends Peer {
  readonly world: SipWorld;
  readonly user: string;
  readonly contact: string;
  #serial = 0;

  constructor(world: SipWorld, user: string, address: string, contact: string) {
    super(parseAddress(address, { port: 5_060 }));
    this.world = world;
    this.user = user;
    this.contact = contact;
  }

  static async at(world: SipWorld, user: string, address: string, contact?: string): Promise<Phone> {
    const { transport, host } = parseAddress(address, { port: 5_060 });
    const phone = new Phone(world, user, address, contact ?? `sip:${user}@10.0.0.5:5060;transport=${transport}`);
    phone.listener = await world.network
      .host(host)
      .bind(phone.address, { framing: createFraming }, { received: phone.received, failed: phone.failed });
    return phone;
  }

  to(host: string) {
    return { host, port: this.address.transport === 'ws' ? 5_080 : 5_060 };
  }

  get via(): string {
    return '10.0.0.5:5060;rport';
  }

  next(): string {
    this.#serial += 1;
    return `z9hG4bK${this.user}${this.#serial}${this.address.host}`;
  }

  async register(host: string, more = ''): Promise<number> {
    const aor = `<sip:${this.user}@${domain}>`;
    const branch = this.next();
    this.send(
      request('REGISTER', {
        transport: this.address.transport.toUpperCase(),
        uri: `sip:${domain}`,
        via: this.via,
        branch,
        from: `${aor};tag=r`,
        to: aor,
        callId: `reg-${branch}`,
        fields: `Supported: path, outbound\r\nContact: <${this.contact}>${more}\r\n`,
      }),
      this.to(host),
    );
    await this.world.clock.advanceAsync(20);
    return statusOf(this.take().at(-1) ?? '');
  }

  async ask(
    method: string,
    host: string,
    options: { uri: string; to: string; callId: string; fields?: string; cseq?: number },
  ) {
    this.send(
      request(method, {
        transport: this.address.transport.toUpperCase(),
        via: this.via,
        branch: this.next(),
        from: `<sip:${this.user}@${domain}>;tag=${this.user}`,
        ...options,
        fields: `Contact: <${this.contact}>\r\n${options.fields ?? ''}`,
      }),
      this.to(host),
    );
    await this.world.clock.advanceAsync(20);
  }
}

export const bob = `sip:bob@${domain}`;
export const outbound = ';reg-id=1;+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"';

export interface Call {
  readonly toCallee: readonly string[];
  readonly callerRoutes: string;
  readonly calleeRoutes: string;
}

/** A call that is answered; the Route fields of both sides as RFC 3261 §12.1 makes them. */
export async function establish(caller: Phone, callee: Phone, through: string, callId = 'c1'): Promise<Call> {
  callee.take();
  await caller.ask('INVITE', through, { uri: bob, to: `<${bob}>`, callId });
  const invite = callee.last;
  expect(gist(callee.texts)).toEqual(['INVITE']);
  callee.answer(answerTo(invite, 200, { tag: 'b1', fields: `Contact: <${callee.contact}>\r\n` }));
  callee.take();
  await caller.world.clock.advanceAsync(20);
  const ok = caller.take().find((text) => statusOf(text) === 200) ?? '';
  expect(statusOf(ok)).toBe(200);
  const routes = (entries: readonly string[]) => entries.map((entry) => `Route: ${entry}\r\n`).join('');
  return {
    toCallee: [invite],
    callerRoutes: routes(
      fieldsOf(ok, 'record-route')
        .flatMap((value) => value.split(/,\s*(?=<)/))
        .toReversed(),
    ),
    calleeRoutes: routes(fieldsOf(invite, 'record-route').flatMap((value) => value.split(/,\s*(?=<)/))),
  };
}

/** Every one of these connections exists, so that ids of the two members' connections are the same numbers. */
export async function crowd(world: SipWorld, host: string, count: number): Promise<readonly Phone[]> {
  const phones: Phone[] = [];
  for (let n = 0; n < count; n += 1) {
    const phone = await Phone.at(world, `stranger${n}`, `tcp:127.0.8.${n + 1}:5060`);
    await phone.register(host);
    phones.push(phone);
  }
  return phones;
}
