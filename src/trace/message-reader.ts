/** What a protocol tells of its recorded messages: asked only when somebody looks at them. */

export interface MessageReading {
  /** `INVITE sip:200@example.com`, `180 Ringing`, `CRCX aaln/1@rgw1`. */
  readonly title: string;
  readonly isRequest: boolean;
  /** The id that all messages of its call carry, where the protocol has one. */
  readonly call?: string | undefined;
  /** Equal for a request and its answers between the same two peers. */
  readonly transaction: string;
  /** Numbers, users, endpoints: who it is about. */
  readonly parties: readonly string[];
}

export interface MessageReader {
  /** The capture protocol id of HEP version 3. */
  readonly hepType: number;
  /** One reading for each message in these octets; none where they are no message. Never throws. */
  read(bytes: Buffer): readonly MessageReading[];
  /** The octets as they may be shown: what proves who somebody is, and the keys of media, are overwritten; the length stays. */
  masked(bytes: Buffer): Buffer;
}

/** Session descriptions: keys of media (RFC 4568 §4, RFC 4566 §5.12), and what controllers keep for one another. */
const secretAttributes = /(^|[\r\n])(a=crypto:|a=x-altpath:|a=key-mgmt:|k=)([^\r\n]*)/gi;

/** Overwrites what stands in the last group of each pattern, and the secrets of session descriptions; `bytes` stays as it is. */
export function maskedOctets(bytes: Buffer, patterns: readonly RegExp[], mark = '*'): Buffer {
  const text = bytes.toString('latin1');
  const masked = patterns.reduce((rest, pattern) => overwritten(rest, pattern, mark), text);
  const hidden = overwritten(masked, secretAttributes, '*');
  return hidden === text ? bytes : Buffer.from(hidden, 'latin1');
}

const overwritten = (text: string, pattern: RegExp, mark: string): string =>
  text.replace(pattern, (whole: string, ...rest: readonly unknown[]) => {
    // Behind the groups stand the offset and the whole text.
    const secret = rest.slice(0, -2).at(-1);
    return typeof secret !== 'string' || secret === ''
      ? whole
      : whole.slice(0, whole.length - secret.length) + secret.replace(/[^\s,;=:"<>]/g, mark);
  });
