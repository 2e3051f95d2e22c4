/**
 * The member link as records of calls see it, with the other workers of this host as members: what a gateway does not keep of a call is known
 * to the worker that has its lines next. Between workers nothing is sealed or lost.
 */

import type { Clock } from '../clock.ts';
import type { LinkedMember, LinkListener, MemberLink } from '../cluster/member-link.ts';
import type { Boot } from '../cluster/sealed-datagram.ts';
import type { WorkerGroup } from './worker-group.ts';

type Link = Pick<MemberLink, 'member' | 'boot' | 'listen' | 'members' | 'sendParcel'>;

export interface WorkerLinkParts {
  readonly workers: WorkerGroup;
  readonly clock: Clock;
  /** To members on other hosts. */
  readonly link: Link | undefined;
  /** Where there is no such link. */
  readonly boot: Boot;
}

export class WorkerLink implements Link {
  readonly member: string;
  readonly boot: Boot;
  readonly #parts: WorkerLinkParts;
  readonly #listeners = new Set<LinkListener>();
  /** By worker. */
  readonly #siblings = new Map<number, { readonly boot: Boot; readonly startedMs: number }>();
  readonly #base: string;

  constructor(parts: WorkerLinkParts) {
    const { workers, link, boot } = parts;
    this.#parts = parts;
    this.#base = link?.member.replace(/\/\d+$/, '') ?? 'worker';
    this.member = this.#nameOf(workers.index);
    this.boot = link?.boot ?? boot;
    workers.share(noteName, {
      joined: (index) => workers.note(index, noteName, ['boot', String(this.boot.startMs), this.boot.random]),
      received: (index, [what = '', startMs = '', random = ''], body) => {
        if (what === 'boot')
          this.#siblings.set(index, { boot: { startMs: Number(startMs), random }, startedMs: parts.clock.now() });
        const member = this.#linked(index);
        if (member === undefined) return;
        for (const each of this.#listeners)
          if (what === 'boot') each.heard?.(member);
          else each.parcel?.(member, body);
      },
    });
  }

  listen(listener: LinkListener): () => void {
    this.#listeners.add(listener);
    for (const index of this.#siblings.keys()) {
      const member = this.#linked(index);
      if (member !== undefined) listener.heard?.(member);
    }
    const end = this.#parts.link?.listen(listener);
    return () => {
      this.#listeners.delete(listener);
      end?.();
    };
  }

  members(): Iterable<LinkedMember> {
    const siblings = [...this.#siblings.keys()].flatMap((index) => this.#linked(index) ?? []);
    return [...(this.#parts.link?.members() ?? []), ...siblings];
  }

  sendParcel(member: string, octets: Uint8Array): boolean {
    for (const index of this.#siblings.keys())
      if (this.#nameOf(index) === member) return this.#parts.workers.note(index, noteName, ['parcel'], octets);
    return this.#parts.link?.sendParcel(member, octets) === true;
  }

  #nameOf(index: number): string {
    return `${this.#base}/${index}`;
  }

  #linked(index: number): LinkedMember | undefined {
    const sibling = this.#siblings.get(index);
    if (sibling === undefined || !this.#parts.workers.isLiving(index)) return undefined;
    const now = this.#parts.clock.now();
    return {
      member: this.#nameOf(index),
      boot: sibling.boot,
      version: '',
      startedMs: sibling.startedMs,
      provenMs: now,
      provenCounter: 0,
      heardMs: now,
      isDeaf: false,
      clockDifferenceMs: 0,
      roles: new Map(),
    };
  }
}

const noteName = 'records';
