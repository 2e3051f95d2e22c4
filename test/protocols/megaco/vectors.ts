/** The appendix messages with the encodings of another stack. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { TerminationNaming } from '../../../protocols/megaco/codec/binary/termination-naming.ts';

const vector = z.object({
  name: z.string(),
  version: z.number(),
  rfc: z.string(),
  text: z.string(),
  pretty: z.string(),
  compact: z.string(),
  ber: z.string(),
});

export const vectors = z
  .array(vector)
  .parse(JSON.parse(readFileSync(new URL('../../vectors/megaco/messages.json', import.meta.url), 'utf8')));

/** How the vectors map termination ids: `a4444` is 01 00115c. */
export const vectorNaming = new TerminationNaming({ octets: 4, kinds: [{ prefix: 'a', octet: 1 }] });
