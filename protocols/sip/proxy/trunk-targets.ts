/**
 * Numbers that trunks take, as targets: the hops of the first carrier, then those of the next one. What a carrier's refusal means for the
 * others is the branch's business. And the other way: whom a call from a trunk is for.
 */
import { type Contact, type NamedHop, plainNumber } from '../../../src/internal.ts';
import { parseUri, type SipUri } from '../codec/uri.ts';
import type { Trunk } from '../trunks/trunk.ts';
import type { Trunks } from '../trunks/trunks.ts';
import { dialledNumber, phoneContext } from './dialled-number.ts';
import type { TargetGroups } from './flow-targets.ts';
import type { ProxyTarget } from './target.ts';

export interface TrunkTargetParts {
  readonly trunks: Trunks;
  isLocal(uri: SipUri): boolean;
}

export class TrunkTargets {
  readonly #parts: TrunkTargetParts;

  constructor(parts: TrunkTargetParts) {
    this.#parts = parts;
  }

  /** The number that a URI dials here; undefined: it is nobody's number but perhaps a name, or one that is valid elsewhere. */
  number(uri: SipUri): string | undefined {
    const { trunks, isLocal } = this.#parts;
    const { user, scheme } = uri;
    if (user === undefined || (scheme !== 'tel' && !isLocal(uri))) return undefined;
    const number = dialledNumber(user);
    if (scheme !== 'tel' || number.startsWith('+') || trunks.plan.isEmergency(number)) return number;
    const context = phoneContext(uri);
    if (context === undefined) return undefined;
    const isOurs = context.startsWith('+')
      ? trunks.plan.isOwnContext(context)
      : isLocal({ ...uri, scheme: 'sip', host: context });
    return isOurs ? number : undefined;
  }

  /** How much of the number a trunk's prefix takes, for the choice between trunks and routes; -1: no trunk takes it. */
  prefixLength(number: string): number {
    const { trunks } = this.#parts;
    const [best] = trunks.for(number);
    return best?.matches(number, trunks.plan) ?? -1;
  }

  /** Each hop of each trunk once; undefined where no trunk takes the number. */
  of(number: string): TargetGroups | undefined {
    const { trunks } = this.#parts;
    const isEmergency = trunks.plan.isEmergency(number);
    const targets = trunks
      .for(number)
      .flatMap((trunk) => this.#hops(trunk, trunk.requestUri(number, trunks.plan), isEmergency));
    const [first, ...spares] = targets;
    return first === undefined ? undefined : [[{ ...first, spares }]];
  }

  #hops(trunk: Trunk, requestUri: string, isEmergency: boolean): readonly ProxyTarget[] {
    const { trunks } = this.#parts;
    return trunk.config.to.map((hop, index, hops) => ({
      requestUri,
      hop,
      // Before the carrier has answered, its next hop takes over within the transaction.
      alternates: hops.slice(index + 1),
      pushRoutes: none,
      resolved: (addresses: readonly NamedHop[]) => trunks.learn(trunk, addresses),
      trunk,
      isEmergency,
      branchKey: `${requestUri}\n${trunk.name}\n${index}`,
      q: 1_000,
    }));
  }
}

/**
 * The numbers that a carrier may mean by the Request-URI of a call to us, likeliest first. One that names our account says in To whom it is
 * for; many carriers leave the plus away.
 */
export function calledNumbers(uri: SipUri, to: string, { config }: Trunk): readonly string[] {
  const found: string[] = [];
  const add = (user: string | undefined): void => {
    if (user === undefined || user === '') return;
    const number = dialledNumber(user);
    found.push(number);
    if (/^[1-9][0-9]{6,14}$/.test(plainNumber(number) ?? '')) found.push(`+${plainNumber(number)}`);
  };
  add(uri.user);
  if (uri.user === config.user || uri.user === undefined) {
    const toUri = parseUri(to);
    if (toUri?.user !== config.user) add(toUri?.user);
    add(config.deliverTo);
  }
  return [...new Set(found)];
}

/** The contacts of the first of these that has any. */
export function firstReached(
  uris: readonly SipUri[],
  contactsOf: (uri: SipUri) => readonly Contact[],
): readonly Contact[] {
  for (const uri of uris) {
    const contacts = contactsOf(uri);
    if (contacts.length > 0) return contacts;
  }
  return none;
}

const none: readonly never[] = [];
