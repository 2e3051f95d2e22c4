/** The torture sets of RFC 4475 and RFC 5118: reading them, and putting them to a whole SIP role. */
import { readFileSync } from 'node:fs';
import type { MemoryPacket } from '../../support/memory-network.ts';
import { type Duties, losses } from './lossless.ts';
import { SipWorld, statusOf } from './world.ts';

export interface TortureMessage {
  readonly file: string;
  readonly rfc: number;
  readonly section: string;
  readonly title: string;
  readonly kind: 'request' | 'response';
  readonly top_via: { readonly sent_by: string } | null;
  readonly proxy: { readonly allowed: readonly string[] };
  readonly registrar?: { readonly allowed: readonly string[] };
}

const directory = new URL('../../vectors/sip/', import.meta.url);

const index: { readonly messages: readonly TortureMessage[] } = JSON.parse(
  readFileSync(new URL('index.json', directory), 'utf8'),
);

export const tortureMessages = (rfc: number): readonly TortureMessage[] =>
  index.messages.filter((message) => message.rfc === rfc);

export const octetsOf = (file: string): Buffer => readFileSync(new URL(file, directory));

export interface Outcome {
  /** `forward`, `reject:404`, `drop` …, as index.json says it. */
  readonly word: string;
  readonly original: string;
  /** What left, if the message was forwarded. */
  readonly forwarded: string;
  readonly forwardedTo: string;
  /** What went back to the sender, provisional answers left out. */
  readonly answer: string;
  readonly sent: readonly MemoryPacket[];
  readonly world: SipWorld;
}

/** Every name of the messages leads to this host. */
export const sinkHost = '127.0.0.99';

const senderHost = '198.51.100.7';

/** The message as one datagram to a proxy that has no domain of the messages' own, or with `domains` to their registrar. */
export async function torture(message: TortureMessage, domains = ['proxy.invalid']): Promise<Outcome> {
  const world = await SipWorld.up({
    names: () => sinkHost,
    addresses: ['::1'],
    config: { listen: ['udp:127.0.0.1:5060', 'udp:[::1]:5060', 'tcp:127.0.0.1:5060'], domains },
  });
  await world.peer(sinkHost);
  const octets = octetsOf(message.file);
  // A response goes back to where the packet came from, to the port of the top Via (RFC 3261 §18.2.2).
  const port = /:(\d+)$/.exec(message.top_via?.sent_by.replace(/\[.*\]/, '') ?? '')?.[1] ?? '5060';
  const sender = await world.peer(`${senderHost}:${port}`);
  sender.send(octets);
  // Longer than the 200 ms after which an INVITE gets its 100, shorter than T1.
  await world.run(300);
  const texts = world.sent.map(({ bytes }) => bytes.toString('latin1'));
  const requests = world.sent.filter((_, index) => statusOf(texts[index] ?? '') === 0);
  const answers = sender.texts.filter((text) => statusOf(text) >= 200);
  const [request] = requests;
  await world.down();
  const words = [...(requests.length > 0 ? ['forward'] : []), ...answers.map((text) => `reject:${statusOf(text)}`)];
  return {
    word: words.length === 0 ? 'drop' : words.join(' and '),
    original: octets.toString('latin1'),
    forwarded: request?.bytes.toString('latin1') ?? '',
    forwardedTo: request === undefined ? '' : `${request.to.host} ${request.to.port}`,
    answer: answers[0] ?? '',
    sent: world.sent,
    world,
  };
}

/** What the forwarded message lost against the one that came. */
export const lossesOf = ({ original, forwarded }: Outcome, duties: Duties = {}): readonly string[] =>
  losses(original, forwarded, { sentBys: ['127.0.0.1:5060', '[::1]:5060'], ...duties });
