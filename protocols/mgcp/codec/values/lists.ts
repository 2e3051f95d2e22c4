/**
 * Parameters that are lists of `name:value` or `name=value`: LocalConnectionOptions, Capabilities, BearerInformation,
 * ConnectionParameters, PackageList (RFC 3435 §3.2.2.1, §3.2.2.3, §3.2.2.7, §3.2.2.10, §3.2.2.13). Order is kept, unknown names are.
 */

import { maxItems } from './cursor.ts';

export interface NamedValue {
  /** Lower case for local connection options and packages as written. */
  readonly name: string;
  /** undefined where the name stands alone. */
  readonly value: string | undefined;
}

/** `p:10, a:PCMU;G729, x-foo`: also for capabilities and bearer information. */
export function readOptions(value: string): readonly NamedValue[] | undefined {
  const items = splitOutsideQuotes(value);
  if (items === undefined || items.length > maxItems) return undefined;
  const options: NamedValue[] = [];
  for (const item of items) {
    const colon = item.indexOf(':');
    const name = (colon < 0 ? item : item.slice(0, colon)).trim();
    if (name === '') return undefined;
    options.push({ name, value: colon < 0 ? undefined : item.slice(colon + 1).trim() });
  }
  return options;
}

export const writeOptions = (options: readonly NamedValue[]): string =>
  options.map(({ name, value }) => (value === undefined ? name : `${name}:${value}`)).join(', ');

/** The value of an option; names are compared without regard to case. */
export const option = (options: readonly NamedValue[], name: string): string | undefined =>
  options.find((each) => each.name.toLowerCase() === name)?.value;

/** `PS=1245, OS=62345`: counters by name in upper case. */
export function readConnectionParameters(value: string): ReadonlyMap<string, number> | undefined {
  const counters = new Map<string, number>();
  if (value.trim() === '') return counters;
  for (const item of value.split(',')) {
    const [name = '', count = '', ...rest] = item.split('=');
    if (rest.length > 0 || name.trim() === '' || !/^\s*\d{1,10}\s*$/.test(count)) return undefined;
    counters.set(name.trim().toUpperCase(), Number(count));
  }
  return counters;
}

export const writeConnectionParameters = (counters: ReadonlyMap<string, number>): string =>
  [...counters].map(([name, count]) => `${name}=${count}`).join(', ');

/** `L:1,G:1,D:0`; also the bare list `L;G;D` that capabilities have under `v`. Names in upper case, the first is the default. */
export const readPackages = (value: string): readonly string[] =>
  value
    .split(/[,;]/)
    .map((item) => (item.split(':')[0] ?? '').trim().toUpperCase())
    .filter((name) => name !== '');

/** A comma in a quoted string parts nothing; undefined where a quote is left open. */
function splitOutsideQuotes(value: string): readonly string[] | undefined {
  if (value.trim() === '') return [];
  if (!value.includes('"')) return value.split(',');
  const items: string[] = [];
  let from = 0;
  let quoted = false;
  for (let at = 0; at < value.length; at += 1) {
    const character = value.charAt(at);
    if (character === '"') quoted = !quoted;
    else if (character === ',' && !quoted) {
      items.push(value.slice(from, at));
      from = at + 1;
    }
  }
  items.push(value.slice(from));
  return quoted ? undefined : items;
}
