/** Writes docs/log-events.md from the table of events. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { logEventsDocument } from '../src/log-events.ts';

writeFileSync(join(import.meta.dirname, '../docs/log-events.md'), logEventsDocument());
