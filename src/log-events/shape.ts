/** What one event of the log is: its level, its words, when it is written, and its fields. */

export type EventLevel = 'debug' | 'info' | 'warn' | 'error';

export interface EventShape {
  readonly level: EventLevel;
  /** The message of the line; nothing of a peer's is in it. */
  readonly text: string;
  /** When there is such a line, and how many there can be. */
  readonly when: string;
  /** By field: what it says. Any may be missing. */
  readonly fields: Readonly<Record<string, string>>;
}

export const event = <F extends Readonly<Record<string, string>>>(
  level: EventLevel,
  text: string,
  when: string,
  fields: F,
): { readonly level: EventLevel; readonly text: string; readonly when: string; readonly fields: F } => ({
  level,
  text,
  when,
  fields,
});
