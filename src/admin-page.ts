/** Which part of a list somebody asks for at the admin server. */

export interface Page {
  readonly from: number;
  readonly size: number;
}

export const pageOf = (query: URLSearchParams): Page => ({
  from: count(query, 'offset', 0),
  size: Math.min(count(query, 'limit', defaultPage), maxPage),
});

function count(query: URLSearchParams, name: string, otherwise: number): number {
  const asked = Number(query.get(name) ?? otherwise);
  return Number.isSafeInteger(asked) && asked >= 0 ? asked : otherwise;
}

const defaultPage = 1_000;

/** Some 10 ms of work. */
const maxPage = 5_000;
