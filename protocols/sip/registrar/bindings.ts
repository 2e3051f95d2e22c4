/**
 * What a REGISTER makes of the bindings of its address of record: a pure function, all or nothing (RFC 3261 §10.3 items 6 and 7,
 * RFC 5626 §6). The caller stores the result and answers.
 */
import { type Contact, type ControllerAddress, fail, ok, type Result } from '../../../src/internal.ts';
import { kept, keptId } from '../codec/kept-text.ts';
import { parseUri } from '../codec/uri.ts';
import type { ContactValue, ContactValues } from './contact-values.ts';
import { maxRecordOctets, recordOctets } from './record-limits.ts';
import { type Refusal, refusal } from './refusal.ts';
import { type CanonicalUri, canonicalUri, sameUri } from './uri-equality.ts';

export interface BindingRequest {
  readonly contacts: ContactValues;
  readonly callId: string;
  readonly cseq: number;
  readonly path: readonly string[];
  readonly userAgent: string | undefined;
  readonly nowMs: number;
  /** May bindings be told by instance and reg-id (RFC 5626 §6)? */
  readonly outbound: boolean;
  /** What is known of the way to a contact besides its URI. */
  readonly wayTo: (contact: ContactValue, key: string) => ContactWay;
}

export interface ContactWay {
  readonly address?: ControllerAddress | undefined;
  readonly flow?: string | undefined;
  readonly alternates: readonly ControllerAddress[];
}

export interface BindingRules {
  readonly minExpiresSeconds: number;
  readonly maxExpiresSeconds: number;
  readonly maxContacts: number;
}

/** The bindings afterwards; the very same list where nothing changes. */
export function bind(
  existing: readonly Contact[],
  request: BindingRequest,
  rules: BindingRules,
): Result<readonly Contact[], Refusal> {
  return request.contacts === '*' ? unbindAll(existing, request) : bindEach(existing, request.contacts, request, rules);
}

function unbindAll(existing: readonly Contact[], request: BindingRequest): Result<readonly Contact[], Refusal> {
  return existing.some((contact) => isOutOfOrder(contact, request)) ? fail(outOfOrder) : ok([]);
}

function bindEach(
  existing: readonly Contact[],
  values: readonly ContactValue[],
  request: BindingRequest,
  rules: BindingRules,
): Result<readonly Contact[], Refusal> {
  const kept = values.filter(({ seconds }) => seconds > 0);
  if (kept.length > rules.maxContacts) return fail(tooMany);
  if (kept.some(({ seconds }) => seconds < Math.min(rules.minExpiresSeconds, oneHourSeconds)))
    return fail(refusal(423, 'Interval Too Brief', `Min-Expires: ${rules.minExpiresSeconds}\r\n`));
  const bindings = [...existing];
  const written = new Set<Contact>();
  let changed = false;
  let added = false;
  for (const value of values) {
    const flowKey = request.outbound ? outboundKey(value) : undefined;
    const index = bindings.findIndex((binding) => isBindingOf(binding, value, flowKey));
    const found = bindings[index];
    if (found !== undefined && !written.has(found) && isOutOfOrder(found, request)) {
      // The same request once more: it reached a partner of ours that died before it answered. RFC 3261 §10.3 would have it fail,
      // and the telephone, registered all the same, would believe it is not.
      if (found.cseq === request.cseq && value.seconds > 0) continue;
      return fail(outOfOrder);
    }
    if (value.seconds === 0) {
      // The flow has a new contact by this very request; the one that is taken back is the contact it had before (RFC 5626 §6).
      const isReplaced = found !== undefined && written.has(found) && !isSameContact(found, value);
      if (found === undefined || isReplaced) continue;
      bindings.splice(index, 1);
    } else {
      const binding = makeBinding(
        value,
        found?.key ?? flowKey ?? value.canonical.text,
        flowKey !== undefined,
        request,
        rules,
      );
      written.add(binding);
      if (found === undefined) bindings.push(binding);
      else bindings[index] = binding;
      added ||= found === undefined;
    }
    changed = true;
  }
  if (added && bindings.length > rules.maxContacts) return fail(tooMany);
  if (changed && recordOctets(bindings) > Math.max(maxRecordOctets, recordOctets(existing))) return fail(tooLong);
  return ok(changed ? bindings : existing);
}

function makeBinding(
  value: ContactValue,
  key: string,
  byFlow: boolean,
  request: BindingRequest,
  rules: BindingRules,
): Contact {
  const way = request.wayTo(value, key);
  return {
    protocol: 'sip',
    target: kept(value.target),
    key: kept(key),
    address: way.address,
    flow: way.flow,
    path: request.path.map(kept),
    alternates: way.alternates,
    expiresMs: request.nowMs + Math.min(value.seconds, rules.maxExpiresSeconds) * 1_000,
    q: value.q,
    instance: value.instance === undefined ? undefined : kept(value.instance),
    regId: byFlow ? value.regId : undefined,
    callId: keptId(request.callId),
    cseq: request.cseq,
    userAgent: request.userAgent === undefined ? undefined : kept(request.userAgent),
    updatedMs: request.nowMs,
    params: kept(value.params),
  };
}

/** Is the request, for this binding, not later than the one that wrote it (RFC 3261 §10.3)? */
const isOutOfOrder = (binding: Contact, { callId, cseq }: BindingRequest): boolean =>
  (binding.callId === callId || binding.callId === keptId(callId)) &&
  binding.cseq !== undefined &&
  cseq <= binding.cseq;

/** Bindings over a flow are told by the flow, all others by their URI. */
function isBindingOf(binding: Contact, value: ContactValue, flowKey: string | undefined): boolean {
  if (flowKey !== undefined || binding.regId !== undefined) return binding.key === flowKey;
  return isSameContact(binding, value);
}

/** RFC 3261 §19.1.4. */
function isSameContact(binding: Contact, value: ContactValue): boolean {
  const canonical = canonicalOf(binding);
  return canonical !== undefined && sameUri(canonical, value.canonical);
}

function canonicalOf(binding: Contact): CanonicalUri | undefined {
  let canonical = canonicals.get(binding);
  if (canonical === undefined) {
    const uri = parseUri(binding.target);
    if (uri === undefined) return undefined;
    canonical = canonicalUri(uri);
    canonicals.set(binding, canonical);
  }
  return canonical;
}

const canonicals = new WeakMap<Contact, CanonicalUri>();

/** No URI has blanks, so it is unlike the key of any other binding. A UUID's case does not matter (RFC 4122 §3). */
function outboundKey({ instance, regId }: ContactValue): string | undefined {
  if (instance === undefined || regId === undefined) return undefined;
  return `instance ${/^<urn:uuid:/i.test(instance) ? instance.toLowerCase() : instance} reg-id ${regId}`;
}

/** A shorter wish may be refused only below this (RFC 3261 §10.3 item 7). */
const oneHourSeconds = 3_600;

/** As for a request in a dialog with a CSeq too low (RFC 3261 §12.2.2). */
export const outOfOrder = refusal(500, 'Server Internal Error - CSeq is not higher than before');

const tooLong = refusal(403, 'Forbidden - contacts too long');

/** Not a 5xx: no other registrar of the domain would take it, and 503 would send the telephone to try. */
export const tooMany = refusal(403, 'Forbidden - too many contacts');
