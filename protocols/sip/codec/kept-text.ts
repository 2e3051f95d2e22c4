/**
 * Text that is kept longer than the message it stands in: as characters of its own, since a piece of a message keeps the whole message
 * alive, and never more of it than anybody needs.
 */
import { hash } from 'node:crypto';

/** A copy that shares no memory with the message. */
export const kept = (text: string): string => Buffer.from(text, 'latin1').toString('latin1');

/** As `kept`, of 256 characters at most: for what is only shown. */
export const keptShort = (text: string): string => kept(text.slice(0, maxShown));

/** An identifier is compared: a long one is as good by its hash. */
export const idOf = (id: string): string => (id.length <= maxIdOctets ? id : `sha256 ${hash('sha256', id, 'hex')}`);

/** As `idOf`, as characters of its own. */
export const keptId = (id: string): string => (id.length <= maxIdOctets ? kept(id) : idOf(id));

const maxIdOctets = 256;
const maxShown = 256;
