/** BER allows a sender to leave lengths open (X.690 §8.1.3.6); such a message is rewritten with definite lengths and read then. */

/** Deeper nesting than any H.248 message has. */
const maxDepth = 40;

/** The same elements with definite lengths; undefined where the octets are no BER. Linear in their number. */
export function toDefinite(bytes: Uint8Array): Uint8Array | undefined {
  const parts: Uint8Array[] = [];
  const end = element(bytes, 0, bytes.length, 0, parts);
  return end === undefined ? undefined : Buffer.concat(parts);
}

/** Appends the element at `pos`; returns its end. */
function element(
  bytes: Uint8Array,
  pos: number,
  limit: number,
  depth: number,
  parts: Uint8Array[],
): number | undefined {
  if (depth > maxDepth || pos + 2 > limit) return undefined;
  const tag = bytes[pos] ?? 0;
  const first = bytes[pos + 1] ?? 0;
  if ((tag & 0x1f) === 0x1f) return undefined;
  let start = pos + 2;
  let stop: number | undefined;
  if (first < 0x80) stop = start + first;
  else if (first > 0x80) {
    const octets = first & 0x7f;
    if (octets > 4 || start + octets > limit) return undefined;
    let length = 0;
    for (const octet of bytes.subarray(start, start + octets)) length = length * 256 + octet;
    start += octets;
    stop = start + length;
  }
  if (stop !== undefined && stop > limit) return undefined;
  const constructed = (tag & 0x20) !== 0;
  if (!constructed) {
    if (stop === undefined) return undefined;
    parts.push(head(tag, stop - start), bytes.subarray(start, stop));
    return stop;
  }
  // The head goes before the children once their size is known.
  const index = parts.push(empty) - 1;
  let at = start;
  for (;;) {
    if (stop !== undefined && at === stop) break;
    if (stop === undefined && at + 2 <= limit && bytes[at] === 0 && bytes[at + 1] === 0) {
      at += 2;
      break;
    }
    const end = element(bytes, at, stop ?? limit, depth + 1, parts);
    if (end === undefined) return undefined;
    at = end;
  }
  let length = 0;
  for (let part = index + 1; part < parts.length; part += 1) length += parts[part]?.length ?? 0;
  parts[index] = head(tag, length);
  return at;
}

const empty = new Uint8Array();

function head(tag: number, length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(tag, length);
  if (length < 0x100) return Uint8Array.of(tag, 0x81, length);
  if (length < 0x10000) return Uint8Array.of(tag, 0x82, length >> 8, length & 0xff);
  return Uint8Array.of(tag, 0x83, length >> 16, (length >> 8) & 0xff, length & 0xff);
}
