/**
 * The two spellings of a sealed record: an attribute of a session description, which every parser that does not know it passes over
 * (RFC 8866 §5), and letters and digits for a name that is compared without regard to case.
 */

/** As the last line of the last media: nothing that follows can be taken for a part of it. */
export function withRecord(description: string, sealed: Uint8Array | undefined): string {
  if (sealed === undefined) return description;
  const newline = description.includes('\r\n') || !description.includes('\n') ? '\r\n' : '\n';
  const ended = description === '' || description.endsWith('\n') ? description : `${description}${newline}`;
  return `${ended}${attribute}:${Buffer.from(sealed).toString('base64url')}${newline}`;
}

export interface ReadDescription {
  /** The description as it is for everybody else. */
  readonly description: string;
  /** What stands in our attribute, whoever wrote it there. */
  readonly sealed: readonly Buffer[];
}

/**
 * Takes our attribute out. Whatever comes from a gateway or a telephone passes here before it goes anywhere else: the attribute is of
 * no use to the other party, and what a party has planted is no record.
 */
export function readRecords(description: string): ReadDescription {
  if (!mentions.test(description)) return { description, sealed: [] };
  const sealed: Buffer[] = [];
  const rest = description.replace(lines, (_, value: string | undefined) => {
    const octets = value === undefined ? undefined : fromBase64url(value);
    // Ours is the last line of all.
    if (octets !== undefined && sealed.push(octets) > maxRecords) sealed.shift();
    return '';
  });
  return { description: rest, sealed };
}

export const withoutRecord = (description: string): string => readRecords(description).description;

/** RFC 4648 §6 in lower case without padding. */
export function toBase32(octets: Uint8Array): string {
  let text = '';
  let bits = 0;
  let held = 0;
  for (const octet of octets) {
    held = (held << 8) | octet;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += alphabet.charAt((held >>> bits) & 31);
    }
    held &= (1 << bits) - 1;
  }
  return bits === 0 ? text : text + alphabet.charAt((held << (5 - bits)) & 31);
}

/** Undefined where it is not the one spelling of some octets. */
export function fromBase32(text: string): Buffer | undefined {
  const octets: number[] = [];
  let bits = 0;
  let held = 0;
  for (const letter of text.toLowerCase()) {
    const value = alphabet.indexOf(letter);
    if (value < 0) return undefined;
    held = (held << 5) | value;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      octets.push((held >>> bits) & 0xff);
    }
    held &= (1 << bits) - 1;
  }
  return bits >= 5 || held !== 0 ? undefined : Buffer.from(octets);
}

function fromBase64url(text: string): Buffer | undefined {
  const octets = Buffer.from(text, 'base64url');
  return octets.toString('base64url') === text ? octets : undefined;
}

const attribute = 'a=x-altpath';
const mentions = /x-altpath/i;
const lines = /^a=x-altpath(?::([^\r\n]*)|[^\r\n]*)(?:\r\n|\n|\r|$)/gim;

/** Ours is one; of more only so many are looked at. */
const maxRecords = 4;

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
