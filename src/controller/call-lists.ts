/** The calls of a controller as lists: a page of them for who asks, and the newest ones, once a second, for who watches. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AdminList } from '../admin.ts';
import { pageOf } from '../admin-page.ts';
import type { Clock } from '../clock.ts';
import { type CallJournal, isAbout } from '../journal/call-journal.ts';
import { type CallRow, callRow } from '../journal/call-row.ts';
import type { ObservedCall } from '../journal/observed-call.ts';

/** The newest calls under way and the last that failed, and how many there are. */
export interface CallBoard {
  readonly open: AdminList;
  readonly failed: AdminList;
}

export class CallLists {
  readonly #clock: Clock;
  readonly #journal: CallJournal;
  #watchers = 0;
  #version = 0;
  #board: { readonly version: number; readonly value: CallBoard } | undefined;
  #stopListening: (() => void) | undefined;

  constructor(clock: Clock, journal: CallJournal) {
    this.#clock = clock;
    this.#journal = journal;
  }

  /** Goes up with every change of a call, while somebody watches. */
  get version(): number {
    return this.#version;
  }

  /** Only where somebody watches does a change of a call cost anything. Returns what ends that. */
  watch(): () => void {
    this.#watchers += 1;
    this.#version += 1;
    this.#stopListening ??= this.#journal.listen(() => {
      this.#version += 1;
    });
    return () => {
      this.#watchers -= 1;
      if (this.#watchers > 0) return;
      this.#stopListening?.();
      this.#stopListening = undefined;
    };
  }

  /** One for all who watch: it costs the same whatever passes between two looks, and however many calls there are. */
  board(): CallBoard {
    if (this.#board?.version === this.#version) return this.#board.value;
    const { open } = this.#journal;
    const failed = this.#journal.failed();
    const value: CallBoard = {
      open: { total: open.size, items: this.#plain(open.newest(boardOpen)) },
      failed: { total: failed.length, items: this.#plain(failed.slice(0, boardFailed)) },
    };
    this.#board = { version: this.#version, value };
    return value;
  }

  /**
   * `failed=1`: the last that failed, `ended=1`: the last that ended; else those under way, oldest first or, with `newest=1`, last first.
   * `about`: of this party or id; `search`: with these letters in an id, a party or an address.
   */
  async list(query: URLSearchParams): Promise<AdminList> {
    const about = query.get('about') ?? undefined;
    const search = query.get('search') ?? undefined;
    const all = this.#chosen(query);
    const wanted =
      about !== undefined
        ? await filtered(all, (call) => isAbout(call, about))
        : search !== undefined
          ? await filtered(all, (call) => contains(call, search))
          : all;
    const { from, size } = pageOf(query);
    return { total: wanted.length, items: this.#plain(wanted.slice(from, from + size)) };
  }

  rows(calls: readonly ObservedCall[]): readonly CallRow[] {
    const now = this.#clock.now();
    const offsetMs = this.#clock.wallNow() - now;
    return calls.map((call) => callRow(call, now, offsetMs));
  }

  #chosen(query: URLSearchParams): readonly ObservedCall[] {
    if (query.get('failed') === '1') return this.#journal.failed();
    if (query.get('ended') === '1') return this.#journal.ended();
    const open = [...this.#journal.open];
    return query.get('newest') === '1' ? open.reverse() : open;
  }

  #plain(calls: readonly ObservedCall[]): AdminList['items'] {
    return this.rows(calls).map((row) => ({ ...row }));
  }
}

/** Messages are served in between: there may be many. */
async function filtered(
  calls: readonly ObservedCall[],
  isWanted: (call: ObservedCall) => boolean,
): Promise<readonly ObservedCall[]> {
  const wanted: ObservedCall[] = [];
  for (let at = 0; at < calls.length; at += callsPerTurn) {
    if (at > 0) await nextTurn();
    for (const call of calls.slice(at, at + callsPerTurn)) if (isWanted(call)) wanted.push(call);
  }
  return wanted;
}

const contains = ({ callId, otherIds, caller, callee, from, to }: ObservedCall, text: string): boolean =>
  callId?.includes(text) === true ||
  caller?.includes(text) === true ||
  callee?.includes(text) === true ||
  from?.includes(text) === true ||
  to?.includes(text) === true ||
  otherIds?.some((id) => id.includes(text)) === true;

/** Less than 1 ms of work. */
const callsPerTurn = 5_000;

const boardOpen = 60;
const boardFailed = 60;
