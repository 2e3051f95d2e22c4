/**
 * What a binding keeps of a REGISTER lives for hours: as characters of its own, since a piece of a message keeps the whole message
 * alive, and never more of it than any telephone needs.
 */
import { hash } from 'node:crypto';
import type { Contact } from '../../../src/internal.ts';

/** A copy that shares no memory with the message. */
export const kept = (text: string): string => Buffer.from(text, 'latin1').toString('latin1');

/** Compared, never shown: a long one is as good by its hash. */
export const keptId = (callId: string): string =>
  callId.length <= maxIdOctets ? kept(callId) : `sha256 ${hash('sha256', callId, 'hex')}`;

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

const maxIdOctets = 256;
