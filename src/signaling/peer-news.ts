/**
 * Deaths and returns of peers, each told once. Two parts of a role may notice the same one: the failure detector by what is sent there,
 * `Members` by the member link. Who comes second finds that it is no news.
 */
import { type EventSink, tellNews } from '../controller/events.ts';
import { addressKey, type ControllerAddress, formatAddress } from './controller-address.ts';

export interface PeerNewsParts {
  readonly protocol: string;
  readonly events?: EventSink | undefined;
  /** The address by which others know whoever is at this one; a member has several. */
  nameOf?(address: ControllerAddress): ControllerAddress | undefined;
  /** Was it ever there? Who was not does not die. Absent: everybody was. */
  wasThere?(address: ControllerAddress): boolean;
}

export class PeerNews {
  readonly #parts: PeerNewsParts;
  /** Who is gone, and whether that was told as a death. */
  readonly #gone = new Map<string, boolean>();

  constructor(parts: PeerNewsParts) {
    this.#parts = parts;
  }

  /** False: that is known. */
  died(address: ControllerAddress, because?: string): boolean {
    const named = this.#named(address);
    if (this.#parts.wasThere?.(named) === false) {
      this.absent(named);
      return false;
    }
    if (!this.#goes(named, true)) return false;
    this.#tell(named, 'died', because);
    return true;
  }

  /** It was not there when we came, which is no death. */
  absent(address: ControllerAddress): void {
    this.#goes(this.#named(address), false);
  }

  /** False: it was not known to be gone, or its return was told. Only who died returns, as an event. */
  returned(address: ControllerAddress): boolean {
    const named = this.#named(address);
    const wasTold = this.#gone.get(addressKey(named));
    this.#gone.delete(addressKey(named));
    if (wasTold === true) this.#tell(named, 'returned');
    return wasTold !== undefined;
  }

  #goes(address: ControllerAddress, isTold: boolean): boolean {
    const key = addressKey(address);
    if (this.#gone.has(key)) return false;
    if (this.#gone.size >= maxGone) this.#gone.clear();
    this.#gone.set(key, isTold);
    return true;
  }

  #named(address: ControllerAddress): ControllerAddress {
    return this.#parts.nameOf?.(address) ?? address;
  }

  #tell(address: ControllerAddress, state: 'died' | 'returned', because?: string): void {
    const { events, protocol } = this.#parts;
    tellNews(events, { kind: 'peer', state, protocol, address: formatAddress(address), because });
  }
}

/** More peers than any pool keeps. */
const maxGone = 4_096;
