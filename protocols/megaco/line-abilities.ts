/** What the lines of a gateway can do beside speech, by the packages and the encoding of the gateway. */
import { isFaxDescription, type Line, localTime } from '../../src/internal.ts';
import { keyPackage } from './line-commands.ts';
import type { MediaGateway } from './media-gateways.ts';
import { accepts } from './sdp.ts';

export interface LineAbilitiesParts {
  readonly payloadTypes: readonly number[];
  mediaGatewayOf(line: Line): MediaGateway | undefined;
  timeZoneOf(gateway: string): string | undefined;
  wallNow(): number;
}

export class LineAbilities {
  readonly #parts: LineAbilitiesParts;

  constructor(parts: LineAbilitiesParts) {
    this.#parts = parts;
  }

  accepts(line: Line, offer: string): boolean {
    // H.248.2: without one of these packages a gateway has no fax over IP.
    if (isFaxDescription(offer)) return faxPackages.some((name) => this.#has(line, name));
    return accepts(this.#parts.payloadTypes, offer);
  }

  canPlayKeys(line: Line): boolean {
    return this.#has(line, keyPackage);
  }

  /** For a display; undefined where the gateway has refused to show anything. */
  localTime(line: Line): (() => string) | undefined {
    const { mediaGatewayOf, timeZoneOf, wallNow } = this.#parts;
    if (mediaGatewayOf(line)?.refusesDisplay === true) return undefined;
    return () => localTime(wallNow(), timeZoneOf(line.gateway)).join('');
  }

  #has(line: Line, packageName: string): boolean {
    return this.#parts.mediaGatewayOf(line)?.packages.has(packageName) === true;
  }
}

const faxPackages = ['ipfax', 'fax'] as const;
