/** Plain data as a person reads it in a terminal. */

export type Row = Readonly<Record<string, unknown>>;

/** Columns as wide as their widest cell; columns that are empty in every row are left out. */
export function table(rows: readonly Row[], columns: readonly string[]): string {
  const shown = columns.filter((column) => rows.some((row) => cell(row[column]) !== ''));
  const lines = [shown, ...rows.map((row) => shown.map((column) => cell(row[column])))];
  const widths = shown.map((_, index) => Math.max(...lines.map((line) => line[index]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((text, index) => text.padEnd(widths[index] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Nested data as `key  value` lines, indented by depth. */
export function outline(data: Row, indent = ''): string {
  const width = Math.max(0, ...Object.keys(data).map((key) => key.length));
  return Object.entries(data)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => {
      if (isRow(value)) return `${indent}${key}\n${outline(value, `${indent}  `)}`;
      if (isList(value)) return `${indent}${key}\n${inTable(value, `${indent}  `)}`;
      return `${indent}${key.padEnd(width)}  ${cell(value)}`.trimEnd();
    })
    .join('\n');
}

const isList = (value: unknown): value is readonly Row[] =>
  Array.isArray(value) && value.length > 0 && value.every(isRow);

/** What has parts of its own is told by its state. */
function inTable(list: readonly Row[], indent: string): string {
  const rows = list.map((row) =>
    Object.fromEntries(
      Object.entries(row).map(([key, value]) => [key, isRow(value) ? (value['state'] ?? value) : value]),
    ),
  );
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return table(rows, columns).replaceAll(/^/gm, indent);
}

export const isRow = (value: unknown): value is Row =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function cell(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (Array.isArray(value)) return value.map(cell).join(', ');
  // What a peer chose as its name may hold anything; a terminal must not obey it.
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  return text.replaceAll(/[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '?');
}
