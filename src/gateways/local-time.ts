/** What the clock on the wall says where a gateway is, as telephones display it with who calls. */

/** Month, day, hour and minute, two digits each; `timeZone` undefined: where we are. */
export function localTime(epochMs: number, timeZone: string | undefined): readonly string[] {
  const minute = Math.floor(epochMs / 60_000);
  const known = shown.get(timeZone);
  if (known?.minute === minute) return known.parts;
  const format = formats.get(timeZone) ?? formatOf(timeZone);
  const found = new Map(format.formatToParts(epochMs).map(({ type, value }) => [type, value]));
  const parts = (['month', 'day', 'hour', 'minute'] as const).map((part) => found.get(part) ?? '00');
  shown.set(timeZone, { minute, parts });
  return parts;
}

/** What is shown in this minute: zones change on the minute. */
const shown = new Map<string | undefined, { readonly minute: number; readonly parts: readonly string[] }>();

/** There are as many as time zones in the configuration. */
const formats = new Map<string | undefined, Intl.DateTimeFormat>();

function formatOf(timeZone: string | undefined): Intl.DateTimeFormat {
  const twoDigits = { month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit' } as const;
  const zone = timeZone === undefined ? {} : { timeZone };
  const format = new Intl.DateTimeFormat('en', { ...twoDigits, ...zone, hourCycle: 'h23' });
  formats.set(timeZone, format);
  return format;
}
