/**
 * Termination ids in binary are up to eight octets whose meaning is provisioned per gateway (RFC 3525 Annex A.1). Here: the first
 * octet is a kind (line, ephemeral …) that stands for a prefix of the text name, the others are the number behind it.
 */
export interface TerminationNamingConfig {
  /** Length of an id, 1 to 8. */
  readonly octets: number;
  readonly kinds: readonly { readonly prefix: string; readonly octet: number }[];
}

export interface BinaryTerminationId {
  /** Wildcarding fields, one octet each. */
  readonly wildcards: readonly number[];
  readonly id: readonly number[];
}

/** Lines are kind 1, ephemerals kind 2. */
export const defaultTerminationNaming: TerminationNamingConfig = {
  octets: 4,
  kinds: [
    { prefix: 'aaln/', octet: 1 },
    { prefix: 'rtp/', octet: 2 },
  ],
};

const maxKnown = 65_536;

export class TerminationNaming {
  readonly #config: TerminationNamingConfig;
  readonly #top: number;
  readonly #byName = new Map<string, BinaryTerminationId>();
  readonly #byNumber = new Map<number, string>();

  constructor(config: TerminationNamingConfig = defaultTerminationNaming) {
    this.#config = config;
    this.#top = config.octets * 8 - 1;
  }

  encode(name: string): BinaryTerminationId {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const made = this.#encode(name);
    if (this.#byName.size >= maxKnown) this.#byName.clear();
    this.#byName.set(name, made);
    return made;
  }

  /** The name of an id without wildcards that stands at [start, stop). */
  decode(bytes: Uint8Array, start: number, stop: number): string {
    const length = stop - start;
    // Ids of up to six octets are kept by number; the length is fixed per gateway, and part of the key.
    if (length > 6) return this.#decode(bytes, start, stop);
    let key = length;
    for (let pos = start; pos < stop; pos += 1) key = key * 256 + (bytes[pos] ?? 0);
    const known = this.#byNumber.get(key);
    if (known !== undefined) return known;
    const name = this.#decode(bytes, start, stop);
    if (this.#byNumber.size >= maxKnown) this.#byNumber.clear();
    this.#byNumber.set(key, name);
    return name;
  }

  /** The name of an id with wildcarding fields. */
  decodeWildcard(fields: readonly number[], bytes: Uint8Array, start: number, stop: number): string {
    const [first = 0] = fields;
    const sign = (first & 0x80) === 0 ? '$' : '*';
    if (fields.length > 1 || (first & 0x3f) >= (stop - start) * 8 - 1) return sign;
    const kind = this.#config.kinds.find(({ octet }) => octet === bytes[start]);
    return kind === undefined ? sign : `${kind.prefix}${sign}`;
  }

  #encode(name: string): BinaryTerminationId {
    const { octets, kinds } = this.#config;
    if (name === 'ROOT') return { wildcards: [], id: [255, 255, 255, 255, 255, 255, 255, 255] };
    const zeros: readonly number[] = new Array<number>(octets).fill(0);
    if (name === '*') return { wildcards: [0xc0 | this.#top], id: zeros };
    if (name === '$') return { wildcards: [0x40 | this.#top], id: zeros };
    for (const { prefix, octet } of kinds) {
      if (!name.startsWith(prefix)) continue;
      const rest = name.slice(prefix.length);
      if (rest === '*') return { wildcards: [0x80 | (this.#top - 8)], id: [octet, ...zeros.slice(1)] };
      if (rest === '$') return { wildcards: [this.#top - 8], id: [octet, ...zeros.slice(1)] };
      if (/^\d{1,15}$/.test(rest)) return { wildcards: [], id: [octet, ...bigEndian(Number(rest), octets - 1)] };
    }
    const raw = /^x((?:[0-9a-f]{2}){1,8})$/.exec(name)?.[1];
    return { wildcards: [], id: raw === undefined ? zeros : [...Buffer.from(raw, 'hex')] };
  }

  #decode(bytes: Uint8Array, start: number, stop: number): string {
    const id = bytes.subarray(start, stop);
    if (id.length === 8 && id.every((octet) => octet === 255)) return 'ROOT';
    const kind = this.#config.kinds.find(({ octet }) => octet === id[0]);
    if (kind === undefined || id.length !== this.#config.octets || id.length === 1)
      return `x${Buffer.from(id).toString('hex')}`;
    let number = 0;
    for (const octet of id.subarray(1)) number = number * 256 + octet;
    return `${kind.prefix}${number}`;
  }
}

function bigEndian(value: number, octets: number): readonly number[] {
  const made = new Array<number>(octets).fill(0);
  let rest = value;
  for (let index = octets - 1; index >= 0; index -= 1) {
    made[index] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return made;
}
