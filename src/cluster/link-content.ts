/** What members tell each other over the link: the sealed content as JSON, its bounds, and how a long list travels in pages. */
import { z } from 'zod';
import { type Boot, bootId } from './sealed-datagram.ts';

/** What one role of a member says of itself. Homes and addresses are `addressKey`s. */
export interface RoleWord {
  /** Where others find the role. */
  readonly addresses: readonly string[];
  /** The members whose gateways it serves now. */
  readonly serves: readonly string[];
  /** Its named alternates, best first. */
  readonly alternates: readonly string[];
  /** It leaves: others take what is its. */
  readonly draining: boolean;
  /** Gateways that it serves though their home is another's to serve. */
  readonly guests: readonly string[];
  /** Small facts that spare a successor a question, such as the encoding that a gateway speaks. */
  readonly hints?: Readonly<Record<string, string>>;
}

/** The same, as a receiver knows it. */
export interface LinkedRole {
  readonly addresses: readonly string[];
  readonly serves: ReadonlySet<string>;
  readonly alternates: readonly string[];
  readonly draining: boolean;
  readonly guests: ReadonlySet<string>;
  readonly hints: ReadonlyMap<string, string>;
}

const text = z.string().max(300);
const texts = (max: number) => z.array(text).max(max);
const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

const roleSchema = z.object({
  a: texts(64),
  s: texts(64),
  b: texts(8),
  d: z.boolean(),
  /** Page, pages, names. */
  g: z.tuple([count.max(4_095), count.min(1).max(4_096), texts(256)]),
  x: z.tuple([count.max(4_095), count.min(1).max(4_096), z.array(z.tuple([text, text])).max(64)]),
});

const contentSchema = z.object({
  m: text.min(1),
  v: text,
  t: z.number(),
  u: count,
  /** The answer is wanted at once. */
  q: z.boolean(),
  /** Member, boot and counter heard last. */
  h: z.array(z.tuple([text, text, count])).max(64),
  r: z.record(z.string().max(32), roleSchema),
});

export type LinkContent = z.output<typeof contentSchema>;
export type WireRole = z.output<typeof roleSchema>;

export function readContent(bytes: Buffer): LinkContent | undefined {
  try {
    const parsed = contentSchema.safeParse(JSON.parse(bytes.toString('utf8')));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

export const writeContent = (content: LinkContent): Buffer => Buffer.from(JSON.stringify(content), 'utf8');

/** `turn` counts up with every datagram: long lists go round page by page. */
export function wireRole(word: RoleWord, turn: number): WireRole {
  return {
    a: word.addresses.slice(0, 64),
    s: word.serves.slice(0, 64),
    b: word.alternates.slice(0, 8),
    d: word.draining,
    g: page(word.guests, turn, 24),
    x: page(Object.entries(word.hints ?? {}), turn, 16),
  };
}

function page<T>(all: readonly T[], turn: number, size: number): [number, number, T[]] {
  const pages = Math.min(4_096, Math.max(1, Math.ceil(all.length / size)));
  const at = turn % pages;
  return [at, pages, all.slice(at * size, (at + 1) * size)];
}

/** Pages put together again; those of an older round count until their successors come. */
class Pages<T> {
  #pages: (readonly T[])[] = [];

  put([at, pages, items]: readonly [number, number, readonly T[]]): void {
    if (this.#pages.length > pages) this.#pages.length = pages;
    if (at < pages) this.#pages[at] = items;
  }

  all(): T[] {
    return this.#pages.flat();
  }
}

export class RoleReader implements LinkedRole {
  addresses: readonly string[] = [];
  serves: ReadonlySet<string> = new Set();
  alternates: readonly string[] = [];
  draining = false;
  guests: ReadonlySet<string> = new Set();
  hints: ReadonlyMap<string, string> = new Map();
  readonly #guests = new Pages<string>();
  readonly #hints = new Pages<readonly [string, string]>();

  read({ a, s, b, d, g, x }: WireRole): void {
    this.addresses = a;
    this.serves = new Set(s);
    this.alternates = b;
    this.draining = d;
    this.#guests.put(g);
    this.guests = new Set(this.#guests.all());
    this.#hints.put(x);
    this.hints = new Map(this.#hints.all());
  }
}

/** What we say that we heard. */
export const echoOf = (member: string, boot: Boot, counter: number): [string, string, number] => [
  member,
  bootId(boot),
  counter,
];
