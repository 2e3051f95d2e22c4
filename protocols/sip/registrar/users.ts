/**
 * Who may authenticate, and by which hashes. Users come from the configuration or from a file: a YAML list in the form of the
 * configuration, or lines `user:realm:MD5[:SHA-256]` as `htdigest` writes them (`#` begins a comment, other realms are left out).
 */
import { parse } from 'yaml';
import { ConfigError } from '../../../src/internal.ts';
import { type DigestAlgorithm, ha1 } from './digest-response.ts';

export interface DigestUser {
  readonly user: string;
  readonly password?: string | undefined;
  /** H(user:realm:password) in hexadecimal, where the password itself is not kept. */
  readonly ha1?: { readonly md5?: string | undefined; readonly sha256?: string | undefined } | undefined;
}

export class DigestUsers {
  /** By the octets of the name, as a request carries them. */
  readonly #hashes = new Map<string, { readonly MD5: string | undefined; readonly 'SHA-256': string | undefined }>();

  constructor(realm: string, users: Iterable<DigestUser>) {
    for (const { user, password, ha1: given } of users) {
      this.#hashes.set(octets(user), {
        MD5: password === undefined ? given?.md5?.toLowerCase() : ha1('MD5', user, realm, password),
        'SHA-256': password === undefined ? given?.sha256?.toLowerCase() : ha1('SHA-256', user, realm, password),
      });
    }
  }

  get size(): number {
    return this.#hashes.size;
  }

  has(user: string): boolean {
    return this.#hashes.has(user);
  }

  /** What is other than in `before`, in numbers; undefined: nothing. */
  changesSince(before: DigestUsers): string | undefined {
    let added = 0;
    let changed = 0;
    for (const [user, hashes] of this.#hashes) {
      const old = before.#hashes.get(user);
      if (old === undefined) added += 1;
      else if (old.MD5 !== hashes.MD5 || old['SHA-256'] !== hashes['SHA-256']) changed += 1;
    }
    const removed = before.size + added - this.size;
    const words = [
      ...(added > 0 ? [`${added} added`] : []),
      ...(removed > 0 ? [`${removed} removed`] : []),
      ...(changed > 0 ? [`${changed} with another password`] : []),
    ];
    return words.length === 0 ? undefined : `${this.size} users (${words.join(', ')})`;
  }

  /** undefined: nobody we know, or a hash we do not have. */
  ha1(user: string, algorithm: DigestAlgorithm): string | undefined {
    return this.#hashes.get(user)?.[algorithm];
  }

  /** Those of `wanted` that every user can answer to: a telephone takes the best one offered, and must not fail by it. */
  answerable(wanted: readonly DigestAlgorithm[]): readonly DigestAlgorithm[] {
    const lacking = new Set<DigestAlgorithm>();
    for (const hashes of this.#hashes.values())
      for (const algorithm of wanted) if (hashes[algorithm] === undefined) lacking.add(algorithm);
    return wanted.filter((algorithm) => !lacking.has(algorithm));
  }
}

/** Reads a users file. @throws ConfigError that names file and line. */
export function parseUsersFile(text: string, file: string, realm: string): readonly DigestUser[] {
  const first = text.split('\n', 1_000).find((line) => line.trim() !== '' && !line.trimStart().startsWith('#'));
  if (first === undefined) return [];
  return /^\s*(-|\[|---)/.test(first) ? parseYamlUsers(text, file) : parseLines(text, file, realm);
}

function parseLines(text: string, file: string, realm: string): readonly DigestUser[] {
  const users: DigestUser[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.trimStart().startsWith('#')) continue;
    const [, user, of, md5, sha256] = /^([^:]+):([^:]*):([0-9a-fA-F]{32})?(?::([0-9a-fA-F]{64}))?\s*$/.exec(line) ?? [];
    if (user === undefined || of === undefined || (md5 === undefined && sha256 === undefined))
      throw new ConfigError(`${file}:${index + 1}: no user: write user:realm:MD5[:SHA-256] with hexadecimal hashes`);
    if (of === realm) users.push({ user, ha1: { md5, sha256 } });
  }
  return users;
}

function parseYamlUsers(text: string, file: string): readonly DigestUser[] {
  let list: unknown;
  try {
    // The plain message only: the long one quotes the line, and with it a password.
    list = parse(text, { prettyErrors: false });
  } catch (error) {
    throw new ConfigError(`${file}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  if (!Array.isArray(list)) throw new ConfigError(`${file}: must be a list of users`);
  return list.map((item: unknown, index) => {
    const user = readUser(item);
    if (user === undefined)
      throw new ConfigError(
        `${file}: entry ${index + 1} is no user: it needs user, and password or ha1 (md5, sha256: hexadecimal)`,
      );
    return user;
  });
}

function readUser(item: unknown): DigestUser | undefined {
  if (!isFields(item) || typeof item.user !== 'string' || item.user === '') return undefined;
  const { user, password, ha1: hashes } = item;
  if (typeof password === 'string' && hashes === undefined) return { user, password };
  if (password !== undefined || !isFields(hashes)) return undefined;
  const { md5, sha256 } = hashes;
  if (!isHash(md5, 32) || !isHash(sha256, 64) || (md5 === undefined && sha256 === undefined)) return undefined;
  return { user, ha1: { md5, sha256 } };
}

interface Fields {
  readonly user?: unknown;
  readonly password?: unknown;
  readonly ha1?: unknown;
  readonly md5?: unknown;
  readonly sha256?: unknown;
}

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null;

const isHash = (value: unknown, digits: number): value is string | undefined =>
  value === undefined || (typeof value === 'string' && value.length === digits && /^[0-9a-fA-F]+$/.test(value));

const octets = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
