/** A pair of controllers that ask for credentials, with a paid route, a default route, one registered user, and whoever attacks them. */
import { createFraming } from '../../../protocols/sip/codec/framing.ts';
import { digestResponse, ha1 } from '../../../protocols/sip/registrar/digest-response.ts';
import { parseAddress } from '../../../src/internal.ts';
import type { MemoryPacket } from '../../support/memory-network.ts';
import { domain, hosts, type NodeOptions, SipWorld } from '../../support/sip-world.ts';
import { answerTo, fieldsOf, Peer, startLine, statusOf } from './world.ts';

export const trunk = '127.0.7.1';
export const upstream = '127.0.7.2';
export const foreign = '127.0.8.1';
export const aliceHost = '127.0.3.1';

export type Member = 'primary' | 'backup' | 'primary after a restart';

export const memberHost = (member: Member): string => (member === 'backup' ? hosts.backup : hosts.primary);

const users = [
  { user: 'alice', password: 'wonderland' },
  { user: 'bob', password: 'builder' },
];

const config = {
  domains: [domain],
  auth: { register: true, invite: true, users, algorithms: ['SHA-256'] },
  routes: [{ prefix: '+1900', to: [`${trunk}:5060`] }],
  defaultRoute: [`${upstream}:5060`],
};

export class Wall {
  readonly world = new SipWorld();
  /** What the members sent, apart from answers to the attacker and what went to alice. */
  readonly beyond: MemoryPacket[] = [];
  /** Answers RFC 3261 style: 200 to whatever comes, Record-Route copied. */
  alice = new Peer(parseAddress(aliceHost, { port: 5_060 }));
  attacker = new Peer(parseAddress('127.0.6.6', { port: 5_060 }));

  static async up(options: { readonly config?: object } = {}): Promise<Wall> {
    const wall = new Wall();
    const { world } = wall;
    wall.config = { ...config, ...options.config };
    await wall.start(hosts.primary);
    await wall.start(hosts.backup);
    wall.alice = await wall.peer(aliceHost);
    wall.attacker = await wall.peer('127.0.6.6');
    await world.locations.save(`alice@${domain}`, [
      {
        protocol: 'sip',
        target: `sip:alice@${aliceHost}:5060`,
        key: 'k',
        path: [],
        alternates: [],
        expiresMs: world.clock.now() + 1e9,
        q: 1_000,
        updatedMs: 0,
      },
    ]);
    const members: readonly string[] = [hosts.primary, hosts.backup];
    world.network.onPacket((packet) => {
      if (!members.includes(packet.from.host)) return;
      if (packet.to.host !== wall.attacker.address.host && packet.to.host !== aliceHost) wall.beyond.push(packet);
    });
    return wall;
  }

  config: object = config;

  async start(host: string): Promise<void> {
    const other = host === hosts.primary ? hosts.backup : hosts.primary;
    const options: NodeOptions = { config: { ...this.config }, backups: [other], backupFor: [other] };
    await this.world.node(host, options);
  }

  async restart(host: string): Promise<void> {
    this.world.network.crash(host);
    this.world.network.revive(host);
    await this.start(host);
  }

  async peer(address: string): Promise<Peer> {
    const at = parseAddress(address, { port: 5_060 });
    const peer = new Peer(at);
    peer.listener = await this.world.network
      .host(at.host)
      .bind(at, { framing: createFraming }, { received: peer.received, failed: peer.failed });
    return peer;
  }

  run(ms = 20): Promise<void> {
    return this.world.clock.advanceAsync(ms);
  }

  async ask(peer: Peer, host: string, message: string): Promise<string> {
    peer.take();
    peer.send(message, { host, port: 5_060 });
    await this.run();
    return peer.heard.at(-1)?.text ?? '';
  }

  /** With the password, after the challenge. */
  async asUser(
    peer: Peer,
    host: string,
    user: string,
    build: (fields: string, branch: string) => string,
  ): Promise<string> {
    const challenge = await this.ask(peer, host, build('', `z9hG4bK${user}1`));
    if (statusOf(challenge) !== 407) return challenge;
    const password = users.find((each) => each.user === user)?.password ?? '';
    const given = /realm="([^"]*)".*?nonce="([^"]*)"/.exec(fieldsOf(challenge, 'proxy-authenticate')[0] ?? '');
    const [, realm = '', nonce = ''] = given ?? [];
    const message = build('', '');
    const [method = '', uri = ''] = startLine(message).split(' ');
    const nc = '00000001';
    const answer = digestResponse('SHA-256', ha1('SHA-256', user, realm, password), method, {
      nonce,
      nc,
      cnonce: 'c',
      qop: 'auth',
      uri,
    });
    return this.ask(
      peer,
      host,
      build(
        `Proxy-Authorization: Digest username="${user}", realm="${realm}", nonce="${nonce}", uri="${uri}", response="${answer}", algorithm=SHA-256, qop=auth, nc=${nc}, cnonce="c"\r\n`,
        `z9hG4bK${user}2`,
      ),
    );
  }

  /** Alice answers the last request that she heard. */
  async aliceAnswers(status: number, fields = ''): Promise<void> {
    const { text } = this.alice.heard.at(-1) ?? { text: '' };
    this.alice.answer(answerTo(text, status, { tag: 'alice1', fields }));
    await this.run();
  }

  /** First lines of what went where no stranger may send, by the Call-ID it had. */
  escaped(callId: string): readonly string[] {
    return this.beyond
      .map(({ bytes, to }) => ({ text: bytes.toString('latin1'), to }))
      .filter(({ text }) => text.includes(callId))
      .map(({ text, to }) => `${to.host}:${to.port} ${startLine(text)}`);
  }
}
