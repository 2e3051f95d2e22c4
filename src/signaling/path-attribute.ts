/**
 * The path attribute: one primary controller and its ordered alternates. It travels in every message a controller sends;
 * each protocol writes it its own way (docs/alternate-path.md), its value and its limits are the same everywhere.
 */
import { type ControllerAddress, formatAddress, sameAddress } from './controller-address.ts';

export interface PathAttribute {
  readonly primary: ControllerAddress;
  /** In order of preference, one to three, none equal to the primary. */
  readonly alternates: readonly ControllerAddress[];
}

/** The tag's name on every wire that has room for it; read without regard to case. */
export const alternatePathTag = 'AlternatePath';

/** An attribute with more alternates is cut to this many. */
export const maxAlternates = 3;

/** Builds an attribute: duplicates and the primary itself leave the list, the rest is cut to three; undefined where none remains. */
export function pathAttribute(
  primary: ControllerAddress,
  alternates: readonly ControllerAddress[],
): PathAttribute | undefined {
  const kept: ControllerAddress[] = [];
  for (const alternate of alternates) {
    if (kept.length === maxAlternates) break;
    if (!sameAddress(alternate, primary) && !kept.some((other) => sameAddress(other, alternate))) kept.push(alternate);
  }
  return kept.length === 0 ? undefined : { primary, alternates: kept };
}

/** The addresses to try, in order: the primary, then its alternates. */
export const pathAddresses = (path: PathAttribute): readonly ControllerAddress[] => [path.primary, ...path.alternates];

/** For logs: `udp:127.0.0.1:5060 > udp:127.0.0.2:5060`. */
export const formatPath = (path: PathAttribute): string => pathAddresses(path).map(formatAddress).join(' > ');
