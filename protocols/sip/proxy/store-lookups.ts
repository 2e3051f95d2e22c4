/**
 * Requests for users that nobody is known of here, while the store of the location service may know better: they wait for its answer, once
 * each and not for long, and are judged anew then.
 */
import type { AddressResolver } from '../../../src/internal.ts';
import type { SipMessage } from '../codec/messages.ts';
import type { Identity } from '../identity.ts';
import { isFromEnd } from '../overload/oc-params.ts';
import type { Refusal } from './admission.ts';
import type { Routing } from './route-preprocessing.ts';

export interface StoreLookupParts {
  readonly resolver: Pick<AddressResolver, 'ask' | 'isBeginning' | 'contactsOf'>;
  readonly identity: Pick<Identity, 'isLocal' | 'record'>;
}

export class StoreLookups {
  readonly #parts: StoreLookupParts;
  /** The requests that were held, and whether the store could tell. */
  readonly #asked = new WeakMap<SipMessage, 'sure' | 'unsure' | 'asking'>();

  constructor(parts: StoreLookupParts) {
    this.#parts = parts;
  }

  /** Just after the start memory lacks users who are registered. Is the request held for one of them? */
  holdsEarly(request: SipMessage, routing: Routing, again: () => void): boolean {
    return this.#parts.resolver.isBeginning && this.holds(request, routing, again);
  }

  /**
   * Nobody is known, and the store could not tell whether somebody is: 404 would say that nobody is (RFC 3261 §21.4.5). A proxy is not told
   * when to come again: it would keep everybody's requests away for so long (§21.5.4).
   */
  doubt(request: SipMessage): Refusal | undefined {
    if (this.#asked.get(request) !== 'unsure') return undefined;
    return isFromEnd(request) ? { ...unsure, fields: 'Retry-After: 5\r\n' } : unsure;
  }

  /** Is the request, which would be refused, held until the store has been asked for its user? */
  holds(request: SipMessage, { uri, next }: Routing, again: () => void): boolean {
    const { resolver, identity } = this.#parts;
    if (next !== undefined || request.toTag !== '' || uri.user === undefined || this.#asked.has(request)) return false;
    if (request.method === 'REGISTER' || !identity.isLocal(uri)) return false;
    const record = identity.record(uri);
    const answer = resolver.contactsOf(record).length > 0 ? undefined : resolver.ask(record);
    if (answer === undefined) return false;
    this.#asked.set(request, 'asking');
    void answer.then((isSure) => {
      this.#asked.set(request, isSure ? 'sure' : 'unsure');
      again();
    });
    return true;
  }
}

const unsure: Refusal = { status: 503, reason: 'Service Unavailable - registrations cannot be asked for' };
