/** What is known of one other member, and since when. */
import type { ControllerAddress } from '../signaling/controller-address.ts';
import type { LinkedRole } from './link-content.ts';
import type { LinkedMember } from './member-link.ts';

export type MemberState = 'unknown' | 'alive' | 'suspect' | 'dead' | 'returning' | 'leaving';

/** Another member, as one role sees it. */
export interface Member {
  readonly address: ControllerAddress;
  readonly key: string;
  readonly state: MemberState;
  /** Since when it lives without a pause, by our clock. */
  readonly aliveSinceMs: number;
  /** When it was found dead last; -Infinity: never. */
  readonly diedMs: number;
  readonly lastHeardMs: number;
  /** All addresses of its role, by `addressKey`, as it said last. */
  readonly addresses: readonly string[];
  /** As it said last; undefined: it was never heard on the link. */
  readonly version: string | undefined;
  /** How far its clock is ahead of ours. */
  readonly clockDifferenceMs: number | undefined;
  /** Members whose gateways it serves. */
  readonly serves: ReadonlySet<string>;
  readonly guests: ReadonlySet<string>;
  /** Both, as it said last before it died. */
  readonly served: ReadonlySet<string>;
  /** Its named alternates, undefined while it has told none. */
  readonly alternates: readonly string[] | undefined;
  readonly hints: ReadonlyMap<string, string>;
  /** It speaks on the link and does not hear us. */
  readonly isDeaf: boolean;
  /** It was heard on the link in its present life: members of the version before never are. */
  readonly isLinked: boolean;
}

/** Somebody waits for the judgement on it. */
export interface Judging {
  readonly counter: number;
  readonly sinceMs: number;
  readonly judged: () => void;
}

export class Known implements Member {
  readonly judging: Judging[] = [];
  provenCounter = 0;
  readonly address: ControllerAddress;
  readonly key: string;
  state: MemberState = 'unknown';
  aliveSinceMs = 0;
  startedMs = 0;
  restartedMs = Number.NEGATIVE_INFINITY;
  provenMs = Number.NEGATIVE_INFINITY;
  /** What proved its life before that proves nothing now. */
  diedMs = Number.NEGATIVE_INFINITY;
  answeredMs = Number.NEGATIVE_INFINITY;
  refusedMs = Number.NEGATIVE_INFINITY;
  probedMs = Number.NEGATIVE_INFINITY;
  /** Taken for alive at this moment because our own pause explains its silence. */
  presumedMs = Number.NEGATIVE_INFINITY;
  suspectSinceMs: number | undefined;
  /** The counter of ours that it has to prove before its death is out of the question. */
  doubtCounter: number | undefined;
  doubtMs = 0;
  /** When it last said something without hearing us. */
  deafHeardMs = Number.NEGATIVE_INFINITY;
  bootRandom: string | undefined;
  /** Who speaks for these addresses on the link: several where that host has several workers. */
  readonly #speakers = new Map<string, { readonly random: string; readonly heardMs: number }>();
  addresses: readonly string[] = [];
  version: string | undefined;
  clockDifferenceMs: number | undefined;
  serves: ReadonlySet<string> = new Set();
  guests: ReadonlySet<string> = new Set();
  served: ReadonlySet<string> = new Set();
  alternates: readonly string[] | undefined;
  hints: ReadonlyMap<string, string> = new Map();
  isLeaving = false;
  isDeaf = false;
  isSuspicionTold = false;

  constructor(address: ControllerAddress, key: string) {
    this.address = address;
    this.key = key;
  }

  get isLinked(): boolean {
    return this.bootRandom !== undefined;
  }

  get lastHeardMs(): number {
    return Math.max(0, this.provenMs, this.answeredMs);
  }

  /** Notes who speaks. True where it is another life than before, and nobody else goes on speaking for it. */
  heardFrom({ member, boot: { random }, heardMs }: LinkedMember): boolean {
    const before = this.#speakers.get(member);
    this.#speakers.delete(member);
    for (const [name, each] of this.#speakers) if (heardMs - each.heardMs >= speakerMs) this.#speakers.delete(name);
    const isAlone = this.#speakers.size === 0;
    this.#speakers.set(member, { random, heardMs });
    const known = this.bootRandom === undefined ? undefined : (before?.random ?? this.bootRandom);
    if (isAlone || this.bootRandom === undefined) this.bootRandom = random;
    return isAlone && known !== undefined && known !== random;
  }

  /** True where something is new. Its named alternates, addresses and hints outlive it. */
  read(word: LinkedRole, { version, clockDifferenceMs }: LinkedMember): boolean {
    const isNew =
      this.isLeaving !== word.draining ||
      !sameSet(this.serves, word.serves) ||
      !sameSet(this.guests, word.guests) ||
      !sameMap(this.hints, word.hints);
    this.addresses = word.addresses;
    this.version = version;
    this.clockDifferenceMs = clockDifferenceMs;
    this.serves = word.serves;
    this.guests = word.guests;
    this.alternates = word.alternates;
    this.hints = word.hints;
    this.isLeaving = word.draining;
    return isNew;
  }

  forgetWord(): void {
    if (this.serves.size > 0 || this.guests.size > 0) this.served = new Set([...this.serves, ...this.guests]);
    this.serves = new Set();
    this.guests = new Set();
    this.isLeaving = false;
    this.isDeaf = false;
    this.bootRandom = undefined;
  }
}

/** Four datagrams of the link. */
const speakerMs = 1_000;

const sameMap = (a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean =>
  a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);

export const sameSet = (a: ReadonlySet<string>, b: ReadonlySet<string>): boolean =>
  a.size === b.size && [...a].every((each) => b.has(each));
