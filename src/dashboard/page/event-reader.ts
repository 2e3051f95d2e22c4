/** Server-sent events out of the pieces in which a stream comes (HTML living standard §9.2.6, as far as the admin server uses it). */

export interface StreamEvent {
  readonly kind: string;
  readonly data: unknown;
}

export class EventReader {
  #rest = '';

  /** The events that are whole by now. @throws Error where an event has no end. */
  push(text: string): readonly StreamEvent[] {
    this.#rest += text;
    if (this.#rest.length > maxEvent) throw new Error('an event without end');
    const parts = this.#rest.split('\n\n');
    this.#rest = parts.pop() ?? '';
    return parts.flatMap((part) => {
      let kind = 'message';
      const data: string[] = [];
      for (const line of part.split('\n')) {
        if (line.startsWith('event: ')) kind = line.slice(7);
        else if (line.startsWith('data: ')) data.push(line.slice(6));
      }
      if (data.length === 0) return [];
      try {
        return [{ kind, data: JSON.parse(data.join('\n')) as unknown }];
      } catch {
        return [];
      }
    });
  }
}

const maxEvent = 33_554_432;
