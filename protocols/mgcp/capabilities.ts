/**
 * What a gateway says it can (RFC 3435 §3.2.2.3), kept as words of its dialect: packages that we use, and codecs that a telephone call
 * should be offered. Asked once; a gateway that does not tell is spoken to in what every gateway bears.
 */
import { encodingNames, type Gateway, isFaxDescription, ptimeOf } from '../../src/internal.ts';
import { isSuccess, type MgcpResponse, parameterValues } from './codec/messages.ts';
import { type NamedValue, option, readOptions, readPackages, writeOptions } from './codec/values/lists.ts';
import type { GatewayCommands } from './gateway-commands.ts';

export interface CapabilityParts {
  readonly commands: GatewayCommands;
}

/** `learned(false)`: it does not answer. */
export function learnCapabilities(
  { commands }: CapabilityParts,
  gateway: Gateway,
  endpoint: string,
  learned: (answered: boolean) => void = () => {},
): void {
  if (gateway.dialect.has('asked')) {
    learned(true);
    return;
  }
  gateway.dialect.add('asked');
  commands.submit({
    peer: gateway,
    draft: () => ({ verb: 'AUEP', endpoint, parameters: [{ code: 'F', value: 'A' }], sdp: [] }),
    ended: (outcome) => {
      if (outcome.kind !== 'answered') gateway.dialect.delete('asked');
      else if (isSuccess(outcome.response.code))
        for (const word of wordsOf(outcome.response)) gateway.dialect.add(word);
      learned(outcome.kind === 'answered');
    },
  });
}

/**
 * `L:` for a connection: as configured, with the codecs of the gateway where the configuration names none; of those, the ones that the
 * other party offers (RFC 3435 §2.6), if it has made an offer.
 */
export function localConnectionOptions(
  configured: string | undefined,
  gateway: Gateway,
  dialect: ReadonlySet<string>,
  offer?: string,
): string {
  const options = readOptions(configured ?? '') ?? [];
  if (offer !== undefined && isFaxDescription(offer)) return `a:${fax}`;
  const offered = codecsFor(configured, gateway, offer);
  const codecs = dialect.has('noCodecs') ? [] : dialect.has('oneCodec') ? offered.slice(0, 1) : offered;
  const hasPeriod = !dialect.has('noPeriod');
  const others = options.filter(({ name }) => !/^a$/i.test(name) && (hasPeriod || !/^p$/i.test(name)));
  const period = (offer === undefined ? undefined : ptimeOf(offer)) ?? 20;
  const packetization: readonly NamedValue[] =
    hasPeriod && option(options, 'p') === undefined ? [{ name: 'p', value: String(period) }] : [];
  return writeOptions([
    ...packetization,
    ...others,
    ...(codecs.length === 0 ? [] : [{ name: 'a', value: codecs.join(';') }]),
  ]);
}

/** Has the gateway a codec for speech that is offered, as far as is known? For fax it must have said so, or nothing at all. */
export function accepts(configured: string | undefined, gateway: Gateway, offer: string): boolean {
  if (isFaxDescription(offer)) return gateway.dialect.has(wordFor(fax)) || !knowsCodecs(gateway);
  return gateway.dialect.has('noCodecs') || codecsFor(configured, gateway, offer).some(isSpeech);
}

/** Package D (RFC 3660 §2.2); a gateway that tells no packages is tried. */
export const canPlayKeys = ({ dialect }: Gateway): boolean => dialect.has('D') || !dialect.has('packages');

function codecsFor(configured: string | undefined, gateway: Gateway, offer: string | undefined): readonly string[] {
  const named = option(readOptions(configured ?? '') ?? [], 'a');
  const own = named === undefined ? offeredTo(gateway) : named.split(';').map((name) => name.trim());
  const names = offer === undefined ? [] : encodingNames(offer);
  // Where nothing is offered that has a name for us, the gateway may understand more.
  if (names.length === 0) return own;
  // In the order of the offer (RFC 3264 §6.1).
  const offeredOf = (some: readonly string[]): readonly string[] =>
    names.flatMap((name) => some.find((each) => each.toLowerCase() === name) ?? []);
  const common = offeredOf(own);
  if (common.some(isSpeech) || named !== undefined || knowsCodecs(gateway)) return common;
  return offeredOf(wantedCodecs);
}

/** Tones as events are no use without speech. */
const isSpeech = (name: string): boolean => name.toLowerCase() !== 'telephone-event';

const knowsCodecs = (gateway: Gateway): boolean => wantedCodecs.some((name) => gateway.dialect.has(wordFor(name)));

/** In the order in which we want them; one alone where the gateway does not say that it has more. */
function offeredTo(gateway: Gateway): readonly string[] {
  const has = wantedCodecs.filter((name) => gateway.dialect.has(wordFor(name)));
  return has.some(isSpeech) ? has : ['PCMU'];
}

/** Each set of codecs may come in a line of its own. */
function wordsOf(response: MgcpResponse): readonly string[] {
  const lines = parameterValues(response, 'A').map((value) => readOptions(value) ?? []);
  const packages = lines.flatMap((options) => readPackages(option(options, 'v') ?? ''));
  const codecs = lines
    .flatMap((options) => (option(options, 'a') ?? '').split(';'))
    .map((name) => name.trim().toLowerCase());
  return [
    ...(packages.length > 0 ? ['packages'] : []),
    ...['RED', 'BA', 'D'].filter((name) => packages.includes(name)),
    ...[...wantedCodecs, fax].filter((name) => codecs.includes(name.toLowerCase())).map(wordFor),
  ];
}

const wantedCodecs = ['PCMU', 'PCMA', 'telephone-event'] as const;

/** T.38 as LocalConnectionOptions name it (RFC 3435 §2.1.6: a MIME type). */
const fax = 'image/t38';

const wordFor = (codec: string): string => `codec:${codec}`;
