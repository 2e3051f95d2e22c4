/** What every view is made of. */
import htm from 'htm';
import { h } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { get, type Query, RefusedError } from './api.ts';
import { age, moment } from './format.ts';
import type { Mood } from './model.ts';

export const html = htm.bind(h);

/** Colour never stands alone: a word is beside it. */
export const Dot = ({ mood }: { readonly mood: Mood }) => html`<span class=${`dot ${mood}`} aria-hidden="true"></span>`;

export const Age = ({ wallMs, nowMs }: { readonly wallMs: number | undefined; readonly nowMs: number }) =>
  wallMs === undefined
    ? html`<span class="quiet">–</span>`
    : html`<time title=${moment(wallMs, nowMs)} datetime=${new Date(wallMs).toISOString()}>${age(wallMs, nowMs)}</time>`;

export const Panel = (props: {
  readonly title: string;
  readonly side?: unknown;
  readonly id?: string;
  readonly children?: unknown;
}) => html`
  <section class="panel" aria-label=${props.title} id=${props.id}>
    <header><h2>${props.title}</h2>${props.side}</header>
    ${props.children}
  </section>
`;

/** One of a few choices. */
export const Choice = <T extends string>(props: {
  readonly label: string;
  readonly value: T;
  readonly options: readonly (readonly [value: T, text: string])[];
  readonly choose: (value: T) => void;
}) => html`
  <div class="choice" role="group" aria-label=${props.label}>
    ${props.options.map(
      ([value, text]) => html`
        <button type="button" aria-pressed=${value === props.value} onClick=${() => props.choose(value)}>${text}</button>
      `,
    )}
  </div>
`;

/** Kept for this tab; never in the address, which others may see. */
export function useKept<T extends string>(name: string, otherwise: T): readonly [T, (value: T) => void] {
  const key = `altpath.${name}`;
  const [value, set] = useState<T>(() => (sessionStorage.getItem(key) as T | null) ?? otherwise);
  return [
    value,
    (next) => {
      sessionStorage.setItem(key, next);
      set(next);
    },
  ];
}

/** The same some time after the last change: nobody wants an answer to each letter. */
export function useSettled<T>(value: T, ms = 250): T {
  const [settled, set] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => set(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return settled;
}

export interface Asked<T> {
  readonly value: T | undefined;
  /** A sentence. */
  readonly problem: string | undefined;
}

/** Asks now and again, for as long as it is shown and the page can be seen. */
export function useAsked<T>(path: string | undefined, query: Query, everyMs: number): Asked<T> {
  const [asked, set] = useState<Asked<T>>({ value: undefined, problem: undefined });
  const words = JSON.stringify(query);
  useEffect(() => {
    if (path === undefined) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isOver = false;
    const ask = async (): Promise<void> => {
      try {
        const value = document.hidden ? undefined : await get<T>(path, JSON.parse(words) as Query);
        if (!isOver && value !== undefined) set({ value, problem: undefined });
      } catch (error) {
        if (!isOver) set((before) => ({ ...before, problem: problemText(error) }));
      }
      if (!isOver) timer = setTimeout(() => void ask(), everyMs);
    };
    void ask();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [path, words, everyMs]);
  return asked;
}

export const problemText = (error: unknown): string =>
  error instanceof RefusedError ? `The controller says: ${error.message}.` : 'The controller does not answer.';
