/** Readings of the latest texts: in the course of a call the same session description is read again and again. */

/** `read` must depend on nothing but its text, and nobody may change what it returns. */
export function keptReadings<T>(read: (text: string) => T): (text: string) => T {
  const texts: string[] = [];
  const readings: T[] = [];
  let next = 0;
  return (text) => {
    const at = texts.indexOf(text);
    const known = at < 0 ? undefined : readings[at];
    if (known !== undefined || text.length > maxCharacters) return known ?? read(text);
    const reading = read(text);
    texts[next] = text;
    readings[next] = reading;
    next = (next + 1) % kept;
    return reading;
  };
}

const kept = 16;

/** Nobody's description of telephone media is longer; kept texts must stay small. */
const maxCharacters = 4_096;
