/** `altpath explain`: what would become of a call to a number, and why, by the same parts that route calls. */
import { NumberingPlan } from '../calls/numbering-plan.ts';
import type { RoleSection } from '../config/role-section.ts';
import type { Contact } from '../location-service.ts';
import type { AddressResolver } from '../signaling/address-resolver.ts';
import type { ExplainedPlace } from '../signaling/directory.ts';

export interface ExplainParts {
  readonly resolver: AddressResolver;
  /** By role. */
  readonly sections: ReadonlyMap<string, RoleSection>;
  /** Nobody is running: who is registered, and what is in service, is not known. */
  readonly isOffline: boolean;
}

export interface Explanation {
  readonly dialled: string;
  readonly normal: string;
  readonly kind: string;
  /** Every form in which lines, users and trunks are looked for. */
  readonly forms: readonly string[];
  readonly from?: { readonly written: string; readonly kind: 'line' | 'uri' | 'unknown'; readonly name: string };
  /** What gateways are given to match, by role, and what the digits are there. */
  readonly digitMaps: readonly { readonly role: string; readonly map: string; readonly match: string }[];
  /** Where the call would go, in order. */
  readonly places: readonly Place[];
  /** Why it would be refused. */
  readonly refused?: string;
  readonly verdict: string;
}

export interface Place extends Omit<ExplainedPlace, 'kind'> {
  readonly kind: ExplainedPlace['kind'] | 'line';
}

export function explain(parts: ExplainParts, written: string, from: string | undefined): Explanation {
  const { resolver, sections } = parts;
  const dialled = dialledIn(written);
  const { plan } = resolver;
  const { number: normal, kind } = plan.normal(dialled);
  const forms = plan.forms(dialled);
  const caller = from === undefined ? undefined : callerOf(sections, from);
  const own = ownPlaces(parts, dialled, forms);
  const outside = resolver.directories.flatMap((directory): readonly Place[] => directory.explain(dialled, from));
  const usable = outside.filter(({ sent, kind: place }) => sent !== undefined || place === 'route');
  const isEmergency = kind === 'emergency';
  const places = isEmergency ? [...outside, ...own] : own.length > 0 ? own : outside;
  const way = isEmergency ? [...usable, ...own] : own.length > 0 ? own : usable;
  const refused = own.length > 0 && !isEmergency ? undefined : refusal(parts, dialled, from, caller?.kind);
  return {
    dialled,
    normal,
    kind,
    forms,
    ...(caller === undefined ? {} : { from: caller }),
    digitMaps: digitMaps(parts, dialled),
    places,
    ...(refused === undefined ? {} : { refused }),
    verdict: verdict(way, refused, isEmergency),
  };
}

/** The number in a URI, or what was written. */
function dialledIn(written: string): string {
  const [, user = written] = /^[a-z]+:([^@;?]+)/i.exec(written.trim()) ?? [];
  try {
    return decodeURIComponent(user).replace(/[-.() ]/g, '') || user;
  } catch {
    return user;
  }
}

function callerOf(sections: ReadonlyMap<string, RoleSection>, from: string): NonNullable<Explanation['from']> {
  for (const [role, { lines = [] }] of sections)
    for (const line of lines)
      if (line.number === from || endpointOf(line) === from.toLowerCase())
        return { written: from, kind: 'line', name: `${role} line ${line.number}` };
  return /^[a-z]+:/i.test(from) || from.includes('@')
    ? { written: from, kind: 'uri', name: from }
    : { written: from, kind: 'unknown', name: from };
}

/** Lines and users that have the number. */
function ownPlaces(
  { resolver, sections, isOffline }: ExplainParts,
  dialled: string,
  forms: readonly string[],
): Place[] {
  const contacts = resolver.contactsOf(dialled);
  const places: Place[] = [];
  for (const [role, { lines = [] }] of sections)
    for (const line of lines) {
      if (!forms.includes(line.number)) continue;
      const isServed = contacts.some(({ protocol }) => protocol === role);
      const state = isOffline ? 'unknown' : isServed ? 'in service' : 'out of service';
      places.push({
        kind: 'line',
        name: `${role} line ${line.number}`,
        hops: [{ address: endpointOf(line), state }],
        ...(isOffline || isServed ? {} : { passedOver: 'its gateway is not served here, or does not answer' }),
      });
    }
  const users = contacts.filter(({ protocol }) => !sections.get(protocol)?.lines);
  for (const directory of resolver.directories) {
    const isKnown = forms.some((form) => directory.knows(form));
    const registered = users.filter(({ protocol }) => protocol === directory.protocol);
    if (!isKnown && registered.length === 0) continue;
    places.push({
      kind: 'user',
      name: `${directory.protocol} user ${dialled}`,
      hops: isOffline
        ? [{ address: 'where it registered', state: 'unknown' }]
        : registered.map((contact) => ({ address: contact.target, state: registrationState(contact) })),
      ...(registered.length > 0 || isOffline ? {} : { passedOver: 'not registered' }),
    });
  }
  return places;
}

const registrationState = ({ expiresMs }: Contact): string =>
  Number.isFinite(expiresMs) ? 'registered' : 'provisioned';

function digitMaps({ resolver, sections }: ExplainParts, dialled: string): Explanation['digitMaps'] {
  const numbers = [...sections.values()].flatMap(({ lines = [] }) => lines.map(({ number }) => number));
  const outside = resolver.dialled();
  return [...sections].flatMap(([role, { lines, digitMap = [] }]) => {
    if (lines === undefined) return [];
    const plan = new NumberingPlan([...numbers, ...outside.numbers], {
      extra: [...digitMap, ...outside.alternatives],
      emergency: resolver.plan.emergency,
    });
    return [{ role, map: plan.digitMap, match: matchText(plan, dialled) }];
  });
}

function matchText(plan: NumberingPlan, dialled: string): string {
  if (!/^[0-9*#]+$/.test(dialled)) return 'cannot be dialled on a line';
  if (plan.match(dialled) === 'complete') return 'complete with the last digit';
  if (plan.match(`${dialled}T`) === 'complete') return 'complete after a pause';
  return plan.match(dialled) === 'partial' ? 'incomplete: more digits are awaited' : 'impossible';
}

function refusal(
  { resolver }: ExplainParts,
  dialled: string,
  from: string | undefined,
  kind: NonNullable<Explanation['from']>['kind'] | undefined,
): string | undefined {
  if (from === undefined || kind === 'line') return undefined;
  const reasons = resolver.directories.map((directory) => directory.refuses(dialled, from));
  const known = reasons.find((reason) => reason !== undefined);
  if (known !== undefined) return known;
  return kind === 'unknown' && !resolver.plan.isEmergency(dialled) ? `${from} is no line here and no URI` : undefined;
}

function verdict(way: readonly Place[], refused: string | undefined, isEmergency: boolean): string {
  if (refused !== undefined) return `refused: ${refused}`;
  const [first, ...others] = way.filter(({ passedOver, kind }) => passedOver === undefined || kind === 'trunk');
  if (first === undefined)
    return way[0] === undefined
      ? 'nobody has this number, and no trunk or route takes it'
      : `not reachable now: ${way[0].name}, ${way[0].passedOver ?? ''}`;
  const then = others.length === 0 ? '' : `, then ${others.map(({ name }) => name).join(', ')}`;
  return `${isEmergency ? 'emergency call' : 'call'} to ${first.name}${first.sent === undefined ? '' : ` as ${first.sent}`}${then}`;
}

/** What its protocol calls the line's end. */
function endpointOf(line: object): string {
  const named = 'endpoint' in line ? line.endpoint : 'termination' in line ? line.termination : undefined;
  return typeof named === 'string' ? named.toLowerCase() : '';
}
