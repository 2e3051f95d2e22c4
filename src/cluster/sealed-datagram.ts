/**
 * The wire form of the member link: a clear header (version, boot, counter), then JSON sealed with AES-256-GCM. Each boot of a member
 * has a key of its own, derived by HKDF (RFC 5869) from `cluster.secret` with the boot id as salt, so that the counter alone makes the
 * nonce and no nonce is used twice with a key (NIST SP 800-38D §8.2.1). The header is authenticated with the content.
 *
 *     "aM" | version 1 | boot: start in ms (6), random (8) | counter (6) | sealed JSON | tag (16)
 */
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import { fail, ok, type Result } from '../result.ts';

/** One life of a member's process. Later starts have greater ids; equal starts are told apart by the random part. */
export interface Boot {
  readonly startMs: number;
  /** 16 hexadecimal digits. */
  readonly random: string;
}

export interface OpenedDatagram {
  readonly boot: Boot;
  readonly counter: number;
  readonly content: Buffer;
}

export type SealProblem = 'oversized' | 'malformed' | 'version' | 'forged';

/** Larger ones are neither sent nor opened. */
export const maxSealedBytes = 8_192;

export const bootId = ({ startMs, random }: Boot): string => startMs.toString(16).padStart(12, '0') + random;

export const isLaterBoot = (a: Boot, b: Boot): boolean => bootId(a) > bootId(b);

export class DatagramSeal {
  readonly #secret: string;
  /** Of boots that have proved to know the secret, the one used last at the end. */
  readonly #keys = new Map<string, Buffer>();

  constructor(secret: string) {
    this.#secret = secret;
  }

  seal(boot: Boot, counter: number, content: Uint8Array): Buffer {
    const header = headerOf(boot, counter);
    const cipher = createCipheriv('aes-256-gcm', this.#keyOf(header, true), nonceOf(header));
    cipher.setAAD(header);
    return Buffer.concat([header, cipher.update(content), cipher.final(), cipher.getAuthTag()]);
  }

  open(bytes: Buffer): Result<OpenedDatagram, SealProblem> {
    if (bytes.length > maxSealedBytes) return fail('oversized');
    if (bytes.length < headerBytes + tagBytes || bytes.toString('latin1', 0, 2) !== magic) return fail('malformed');
    if (bytes[2] !== version) return fail('version');
    const header = bytes.subarray(0, headerBytes);
    const key = this.#keyOf(header, false);
    const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(header));
    decipher.setAAD(header);
    decipher.setAuthTag(bytes.subarray(bytes.length - tagBytes));
    let content: Buffer;
    try {
      content = Buffer.concat([
        decipher.update(bytes.subarray(headerBytes, bytes.length - tagBytes)),
        decipher.final(),
      ]);
    } catch {
      return fail('forged');
    }
    this.#keep(saltOf(header), key);
    return ok({
      boot: { startMs: header.readUIntBE(3, 6), random: header.toString('hex', 9, 17) },
      counter: header.readUIntBE(17, 6),
      content,
    });
  }

  #keyOf(header: Buffer, isOurs: boolean): Buffer {
    const salt = saltOf(header);
    const known = this.#keys.get(salt);
    if (known !== undefined) return known;
    const key = Buffer.from(hkdfSync('sha256', this.#secret, Buffer.from(salt, 'hex'), 'altpath member link 1', 32));
    if (isOurs) this.#keep(salt, key);
    return key;
  }

  #keep(salt: string, key: Buffer): void {
    this.#keys.delete(salt);
    this.#keys.set(salt, key);
    if (this.#keys.size <= maxKeys) return;
    const [oldest] = this.#keys.keys();
    if (oldest !== undefined) this.#keys.delete(oldest);
  }
}

const magic = 'aM';
const version = 1;
const headerBytes = 23;
const tagBytes = 16;
const maxKeys = 128;

function headerOf({ startMs, random }: Boot, counter: number): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.write(magic, 0, 'latin1');
  header[2] = version;
  header.writeUIntBE(startMs, 3, 6);
  header.write(random, 9, 8, 'hex');
  header.writeUIntBE(counter, 17, 6);
  return header;
}

const saltOf = (header: Buffer): string => header.toString('hex', 3, 17);

function nonceOf(header: Buffer): Buffer {
  const nonce = Buffer.alloc(12);
  header.copy(nonce, 6, 17, 23);
  return nonce;
}
