/** Puts a trace into the reader's folder of downloads. */
import { fetchFile, get } from './api.ts';
import type { List, TraceRow } from './rows.ts';

/** A sentence about what became of it. */
export async function saveTrace(form: 'pcap' | 'json', about: string): Promise<string> {
  const query = { octets: 1, limit: 5_000, ...(about === '' ? {} : { about }) };
  const name = `altpath-${about === '' ? 'trace' : about.replaceAll(/[^\w.@-]+/g, '_').slice(0, 60)}.${form}`;
  if (form === 'pcap') {
    const bytes = await fetchFile('trace', { ...query, format: 'pcap' });
    save(bytes, name);
    return `${name}: ${Math.ceil(bytes.size / 1_024)} kB.`;
  }
  const { items } = await get<List<TraceRow>>('trace', query);
  const rows = items.map(({ octets, ...row }) => ({
    ...row,
    ...(octets === undefined ? {} : { text: textOf(octets) }),
  }));
  save(new Blob([JSON.stringify(rows, undefined, 2)], { type: 'application/json' }), name);
  return `${name}: ${items.length} messages.`;
}

/** As text where it is text, else a row of octets. */
export function textOf(octets: string): string {
  const bytes = Uint8Array.from(atob(octets), (letter) => letter.charCodeAt(0));
  const text = new TextDecoder().decode(bytes);
  if (!/(?![\t\n\v\f\r])\p{Cc}|\u{fffd}/u.test(text)) return text;
  return (
    [...bytes]
      .map((octet) => octet.toString(16).padStart(2, '0'))
      .join(' ')
      .match(/.{1,48}/g)
      ?.join('\n') ?? ''
  );
}

function save(bytes: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(bytes);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
