/**
 * Requests for users that nobody is known of here, while the store of the location service may know better: they wait for its answer, once
 * each and not for long, and are judged anew then.
 */
import type { AddressResolver } from '../../../src/internal.ts';
import type { SipMessage } from '../codec/messages.ts';
import type { Identity } from '../identity.ts';
import type { Routing } from './route-preprocessing.ts';

export interface StoreLookupParts {
  readonly resolver: Pick<AddressResolver, 'ask' | 'isBeginning' | 'contactsOf'>;
  readonly identity: Pick<Identity, 'isLocal' | 'record'>;
}

export class StoreLookups {
  readonly #parts: StoreLookupParts;
  readonly #asked = new WeakSet<SipMessage>();

  constructor(parts: StoreLookupParts) {
    this.#parts = parts;
  }

  /** Just after the start memory lacks users who are registered. Is the request held for one of them? */
  holdsEarly(request: SipMessage, routing: Routing, again: () => void): boolean {
    return this.#parts.resolver.isBeginning && this.holds(request, routing, again);
  }

  /** Nobody is known, and the store that may know him cannot be asked: this process began while it was away. */
  isUnsure(request: SipMessage, { uri, next }: Routing): boolean {
    const { resolver, identity } = this.#parts;
    const isForUser = next === undefined && uri.user !== undefined && identity.isLocal(uri);
    return resolver.isBeginning && isForUser && !this.#asked.has(request);
  }

  /** Is the request, which would be refused, held until the store has been asked for its user? */
  holds(request: SipMessage, { uri, next }: Routing, again: () => void): boolean {
    const { resolver, identity } = this.#parts;
    if (next !== undefined || request.toTag !== '' || uri.user === undefined || this.#asked.has(request)) return false;
    if (request.method === 'REGISTER' || !identity.isLocal(uri)) return false;
    const record = identity.record(uri);
    const answer = resolver.contactsOf(record).length > 0 ? undefined : resolver.ask(record);
    if (answer === undefined) return false;
    this.#asked.add(request);
    void answer.then(again);
    return true;
  }
}
