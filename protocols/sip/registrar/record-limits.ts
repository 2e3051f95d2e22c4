/** What the contacts of an address of record may take. */
import type { Contact } from '../../../src/internal.ts';

/** What one address of record may take in the location service, all its contacts together. */
export const maxRecordOctets = 16_384;

export function recordOctets(contacts: readonly Contact[]): number {
  let octets = 0;
  for (const { target, key, params = '', instance = '', path } of contacts) {
    octets += target.length + key.length + params.length + instance.length;
    for (const entry of path) octets += entry.length;
  }
  return octets;
}

/** A name of an address of record; RFC 3261 knows no limit, directories do. */
export const maxRecordNameOctets = 512;
