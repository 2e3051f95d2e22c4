/** What the views show, made of what the admin server gave. Pure functions: they are tested without a browser. */
import { bareAddress, hostOf, party, plain } from './format.ts';
import type { CallRow, ClusterView, Happening, MemberRow, TakeoverRow } from './rows.ts';

export type Mood = 'good' | 'warn' | 'bad' | 'idle';

export interface MemberCard {
  readonly name: string;
  readonly isSelf: boolean;
  /** No member: where the configuration sends messages on. */
  readonly isHop: boolean;
  readonly mood: Mood;
  /** `lives`, `dead`, `draining` … */
  readonly word: string;
  readonly sinceMs: number | undefined;
  readonly version: string | undefined;
  readonly addresses: readonly string[];
  readonly standsInFor: readonly StandIn[];
  /** Its dashboard, where it is known. */
  readonly link: string | undefined;
}

export interface StandIn {
  readonly name: string;
  readonly sinceMs: number | undefined;
  readonly messages: number;
  readonly calls: number;
  /** Protocols whose gateways it serves. */
  readonly gatewaysOf: readonly string[];
}

/** One card for each member, this one first. `takeovers` may hold ones that are over for the moment. */
export function memberCards(
  view: ClusterView,
  takeovers: readonly TakeoverRow[] = view.takeovers,
  page?: { readonly protocol: string; readonly hostname: string; readonly port: string },
): readonly MemberCard[] {
  const groups = new Map<string, MemberRow[]>();
  const named = new Map(view.members.flatMap(({ host, name }) => (name === undefined ? [] : [[host, name] as const])));
  for (const row of view.members) {
    // Members of one host are one where the configuration gives no names.
    const name = row.name ?? named.get(row.host) ?? row.host;
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [row]);
    else group.push(row);
  }
  const own = view.own ?? [];
  const dead = [...groups].filter(([, rows]) => stateOf(rows) === 'dead' && rows.some(({ kind }) => kind === 'member'));
  const self: MemberCard = {
    name: view.node ?? 'this controller',
    isSelf: true,
    isHop: false,
    mood: view.state === 'ready' ? 'good' : 'warn',
    word: view.state === 'ready' ? 'lives' : view.state,
    sinceMs: view.startedMs,
    version: view.version,
    addresses: addressesOf(own.flatMap(({ addresses }) => addresses)),
    standsInFor: standIns(dead, takeovers, own),
    link: undefined,
  };
  const others = [...groups].map(([name, rows]): MemberCard => {
    const state = stateOf(rows);
    const isHop = rows.every(({ kind }) => kind !== 'member');
    return {
      name,
      isSelf: false,
      isHop,
      mood: moods[state] ?? 'idle',
      word: (isHop ? hopWords[state] : undefined) ?? words[state] ?? state,
      sinceMs: sinceOf(rows, state),
      version: rows.find(({ version }) => version !== undefined)?.version,
      addresses: addressesOf(rows.map((row) => `${row.transport}:${socket(row)}`)),
      standsInFor: standIns(
        dead.filter(([each]) => each !== name),
        [],
        rows.map(({ protocol, serves }) => ({ protocol, serves: serves ?? [] })),
      ),
      link: isHop ? undefined : linkTo(name, rows, view, page),
    };
  });
  return [self, ...others];
}

const socket = ({ host, port }: MemberRow): string => `${host.includes(':') ? `[${host}]` : host}:${port}`;

/** The most alarming of what its roles say; a mere hop is judged by how messages fared. */
function stateOf(rows: readonly MemberRow[]): string {
  const members = rows.filter(({ kind }) => kind === 'member');
  const states =
    members.length > 0 ? members.map(({ state }) => state) : rows.map(({ health }) => healths[health ?? '']);
  return ['dead', 'leaving', 'suspect', 'returning', 'alive'].find((state) => states.includes(state)) ?? 'unknown';
}

const healths: Readonly<Record<string, string>> = { up: 'alive', down: 'dead', suspect: 'suspect', probing: 'suspect' };

const moods: Readonly<Record<string, Mood>> = {
  alive: 'good',
  returning: 'warn',
  leaving: 'warn',
  suspect: 'warn',
  dead: 'bad',
};

const hopWords: Readonly<Record<string, string>> = {
  alive: 'takes messages',
  dead: 'does not answer',
  suspect: 'silent: being asked',
};

const words: Readonly<Record<string, string>> = {
  alive: 'lives',
  returning: 'returning: lives, watched before it gets work back',
  leaving: 'leaving: draining',
  suspect: 'silent: being asked',
  dead: 'dead',
  unknown: 'not heard yet',
};

function sinceOf(rows: readonly MemberRow[], state: string): number | undefined {
  if (state !== 'dead') return least(rows.map(({ aliveSinceMs }) => aliveSinceMs));
  return least(rows.map(({ diedMs }) => diedMs)) ?? least(rows.map(({ lastHeardMs }) => lastHeardMs));
}

function least(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined && time > 0) as readonly number[];
  return known.length === 0 ? undefined : Math.min(...known);
}

/** UDP and TCP at one place are one line. */
const addressesOf = (addresses: readonly string[]): readonly string[] => [...new Set(addresses.map(bareAddress))];

function standIns(
  dead: readonly (readonly [string, readonly MemberRow[]])[],
  takeovers: readonly TakeoverRow[],
  own: readonly { readonly protocol: string; readonly serves?: readonly string[] | undefined }[],
): readonly StandIn[] {
  return dead.flatMap(([name, rows]) => {
    const sockets = new Set(rows.map(socket));
    const taken = takeovers.filter(({ partner }) => sockets.has(bareAddress(partner)));
    const gatewaysOf = own
      .filter(({ serves }) => serves?.some((home) => sockets.has(bareAddress(home))) === true)
      .map(({ protocol }) => protocol);
    if (taken.length === 0 && gatewaysOf.length === 0) return [];
    const since = taken.map(({ sinceMs }) => sinceMs);
    return [
      {
        name,
        sinceMs: since.length > 0 ? Math.min(...since) : sinceOf(rows, 'dead'),
        messages: taken.reduce((sum, { messages }) => sum + messages, 0),
        calls: taken.reduce((sum, { calls }) => sum + calls, 0),
        gatewaysOf,
      },
    ];
  });
}

/** As the configuration says; else at its own host by our port, where ours can be reached at a host of our own. */
function linkTo(
  name: string,
  rows: readonly MemberRow[],
  { admins, own = [] }: ClusterView,
  page: { readonly protocol: string; readonly hostname: string; readonly port: string } | undefined,
): string | undefined {
  if (page === undefined) return undefined;
  const written = admins?.[name];
  if (written !== undefined) return `${page.protocol}//${written}/dashboard/`;
  const [first] = rows;
  const hosts = own.flatMap(({ addresses }) => addresses.map(hostOf));
  if (first === undefined || !hosts.includes(page.hostname) || hosts.includes(first.host)) return undefined;
  const host = first.host.includes(':') ? `[${first.host}]` : first.host;
  return `${page.protocol}//${host}${page.port === '' ? '' : `:${page.port}`}/dashboard/`;
}

/** What members did in others' place is told while it lasts; for as long as the other is dead, it is shown. */
export function keepTakeovers(before: readonly TakeoverRow[], view: ClusterView): readonly TakeoverRow[] {
  const key = ({ protocol, partner }: TakeoverRow): string => `${protocol} ${partner}`;
  const now = new Map(view.takeovers.map((row) => [key(row), row]));
  const dead = new Set(view.members.filter(({ state }) => state === 'dead').map(socket));
  const kept = before.flatMap((row) => {
    const fresh = now.get(key(row));
    now.delete(key(row));
    if (fresh === undefined) return dead.has(bareAddress(row.partner)) ? [row] : [];
    // It began anew after a pause: what it did before still counts.
    return fresh.sinceMs > row.sinceMs && dead.has(bareAddress(row.partner))
      ? [
          {
            ...fresh,
            sinceMs: row.sinceMs,
            messages: Math.max(row.messages, fresh.messages),
            calls: Math.max(row.calls, fresh.calls),
          },
        ]
      : [fresh];
  });
  return [...kept, ...now.values()];
}

export interface FailureGroup {
  readonly key: string;
  readonly reason: string;
  readonly where: string | undefined;
  readonly count: number;
  readonly lastMs: number;
  readonly example: CallRow;
}

/** Failed calls by why and by who said so, the most frequent first. */
export function failureGroups(rows: readonly CallRow[]): readonly FailureGroup[] {
  const groups = new Map<string, FailureGroup>();
  for (const row of rows) {
    const reason = row.reason ?? 'unknown';
    const where = row.where === undefined ? undefined : bareAddress(row.where);
    const key = `${reason} ${where ?? ''}`;
    const known = groups.get(key);
    const lastMs = row.endedMs ?? 0;
    groups.set(
      key,
      known === undefined
        ? { key, reason, where, count: 1, lastMs, example: row }
        : {
            ...known,
            count: known.count + 1,
            lastMs: Math.max(known.lastMs, lastMs),
            example: lastMs > known.lastMs ? row : known.example,
          },
    );
  }
  return [...groups.values()].sort((a, b) => b.count - a.count || b.lastMs - a.lastMs);
}

/** In a sentence: why a call came to nothing. */
export function why({ reason, code, cause, where, detail, callee }: CallRow): string {
  const sentence = (reasons[reason ?? ''] ?? 'The call was refused.').replace('CALLEE', party(callee));
  const numbers = [code === undefined ? undefined : code, cause === undefined ? undefined : `Q.850 cause ${cause}`]
    .filter((each) => each !== undefined)
    .join(', ');
  const said = where === undefined ? 'This controller said so' : `${bareAddress(where)} said so`;
  return `${sentence} ${said}${numbers === '' ? '' : ` (${numbers})`}${detail === undefined ? '' : `: ${detail}`}.`.replace(
    /\.\.$/,
    '.',
  );
}

/** A reason as a title: `noRoute` is `No route`. */
export const reasonTitle = (reason: string): string => {
  const words = reason.replaceAll(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return words.charAt(0).toUpperCase() + words.slice(1);
};

const reasons: Readonly<Record<string, string>> = {
  busy: 'CALLEE was busy.',
  noAnswer: 'CALLEE rang, and nobody answered.',
  declined: 'CALLEE did not want the call.',
  unavailable: 'CALLEE is known, but not registered or not reachable now.',
  unknownNumber: 'Nobody here is CALLEE.',
  incompleteNumber: 'The number CALLEE is not complete.',
  forbidden: 'The caller may not call there.',
  unauthorized: 'The caller did not show the right credentials.',
  notAcceptable: 'The two ends have no codec in common.',
  noRoute: 'The next hop has no address: its name does not resolve, or no route leads there.',
  unreachable: 'No hop took the call: every address failed.',
  timeout: 'Somebody on the way did not answer in time.',
  loop: 'The call went in a circle.',
  overload: 'A hop has too much to do.',
  noResources: 'There was no line, circuit or port left.',
  temporary: 'A hop has a passing fault.',
  gatewayLost: 'The gateway of the line died in the middle of the call.',
  refused: 'The call was refused.',
};

/** What happened at once in several protocols is one thing: a member has died, not three. Newest first, as it came. */
export function joinedHappenings(
  happenings: readonly Happening[],
  name: (address: string) => string,
): readonly Happening[] {
  const joined: Happening[] = [];
  for (const each of happenings) {
    const twin = joined.findIndex(
      (other) =>
        other.what === each.what &&
        each.what !== 'message' &&
        each.what !== 'order' &&
        other.gateway === each.gateway &&
        Math.abs(other.wallMs - each.wallMs) < togetherMs &&
        name(other.address ?? other.from ?? '') === name(each.address ?? each.from ?? '') &&
        other.protocol?.includes(each.protocol ?? '?') === false,
    );
    const known = joined[twin];
    if (known === undefined) joined.push(each);
    else joined[twin] = { ...known, protocol: `${each.protocol ?? ''}, ${known.protocol ?? ''}` };
  }
  return joined;
}

/** In a sentence: what happened. `name` says who an address is. */
export function happeningText(
  { what, address, gateway, from, to, because, count = 1, protocol }: Happening,
  name: (address: string) => string,
): { readonly mood: Mood; readonly text: string } {
  const of = protocol === undefined ? '' : ` (${protocol})`;
  const reason = because === undefined ? '' : `: ${plain(because)}`;
  switch (what) {
    case 'died':
      return { mood: 'bad', text: `${name(address ?? '?')} does not answer any more${of}${reason}` };
    case 'returned':
      return { mood: 'good', text: `${name(address ?? '?')} answers again${of}` };
    case 'gateway': {
      const which = gateway === undefined ? `The gateways of ${name(from ?? '?')}` : `Gateway ${plain(gateway)}`;
      return {
        mood: 'warn',
        text: `${which} ${gateway === undefined ? 'are' : 'is'} served by ${name(to ?? '?')} now${of}${reason}`,
      };
    }
    case 'message':
      return {
        mood: 'warn',
        text: `${count === 1 ? 'A message' : `${count} messages`} for ${name(from ?? '?')} went to ${name(to ?? '?')} instead${reason}`,
      };
    default:
      return { mood: 'idle', text: `An operator ordered: ${plain(because ?? '?')}` };
  }
}

const togetherMs = 5_000;

/** What a call's state means, with its colour. */
export function callMood({ state, failed }: CallRow): Mood {
  if (state === 'ended') return failed === true ? 'bad' : 'idle';
  return state === 'talking' ? 'good' : 'warn';
}
