/** What the clock on the wall says where a gateway is, as telephones display it with who calls. */

/** Month, day, hour and minute, two digits each; `timeZone` undefined: where we are. */
export function localTime(epochMs: number, timeZone: string | undefined): readonly string[] {
  const format = formats.get(timeZone) ?? formatOf(timeZone);
  const parts = new Map(format.formatToParts(epochMs).map(({ type, value }) => [type, value]));
  return (['month', 'day', 'hour', 'minute'] as const).map((part) => parts.get(part) ?? '00');
}

/** There are as many as time zones in the configuration. */
const formats = new Map<string | undefined, Intl.DateTimeFormat>();

function formatOf(timeZone: string | undefined): Intl.DateTimeFormat {
  const twoDigits = { month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit' } as const;
  const zone = timeZone === undefined ? {} : { timeZone };
  const format = new Intl.DateTimeFormat('en', { ...twoDigits, ...zone, hourCycle: 'h23' });
  formats.set(timeZone, format);
  return format;
}
