/** Where the program itself lies, for whoever starts another one of it. */
import { extname, join } from 'node:path';

/** From this file and from the gathered program alike, both a folder below it. */
export const programFile = join(import.meta.dirname, `../main${extname(import.meta.filename)}`);
