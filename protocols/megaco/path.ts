/**
 * The path attribute in MEGACO (docs/alternate-path.md): the alternates travel as a comment or an extension of every message, the
 * primary is the message's sender. Here are the passages between mIds and addresses, and the forms that single commands carry.
 */
import { type ControllerAddress, type PathAttribute, pathAttribute, type Transport } from '../../src/internal.ts';
import type { Command, MegacoMessage, MId, Parameter } from './codec/messages.ts';
import { addressMId, mIdAddress } from './codec/mid.ts';

/** RFC 3525 §9, Annex D.1. */
export const defaultTextPort = 2944;
const defaultBinaryPort = 2945;

/** The package property on ROOT for gateways that list the package. */
export const pathProperty = 'alternatepath/addr';
export const pathPackage = 'alternatepath';

/** The extension parameter of a HandOff, as it is read: X- and six characters are all the grammar has room for. */
export const pathExtension = 'x-altpth';

export const alternatesOf = (path: PathAttribute | undefined): readonly MId[] | undefined =>
  path?.alternates.map(addressMId);

/** What a message says of its sender's backups, reached over the transport it came by. */
export function readPath(
  message: MegacoMessage,
  transport: Transport,
  sender?: ControllerAddress,
): PathAttribute | undefined {
  if (message.alternatePath === undefined) return undefined;
  const port = message.encoding === 'binary' ? defaultBinaryPort : defaultTextPort;
  const primary = sender ?? mIdAddress(message.mId, port, transport);
  if (primary === undefined) return undefined;
  return pathAttribute(primary, mIdsToAddresses(message.alternatePath, port, transport));
}

export function mIdsToAddresses(
  mIds: readonly MId[],
  defaultPort: number,
  transport: Transport,
): readonly ControllerAddress[] {
  return mIds.flatMap((mId) => mIdAddress(mId, defaultPort, transport) ?? []);
}

/** The alternates as one string value, as the comment has them; the primary is whoever sends it. */
export const pathValue = ({ alternates }: PathAttribute): string => `"${alternates.map(addressMId).join(' ')}"`;

/** The alternates of `primary` in such a value. An older form named the primary first: it is no alternate of itself. */
export function readPathValue(
  value: string,
  primary: ControllerAddress,
  defaultPort: number,
): readonly ControllerAddress[] {
  const mIds = value.replaceAll('"', '').trim().toLowerCase().split(/\s+/, 8);
  const alternates = mIdsToAddresses(mIds, defaultPort, primary.transport);
  return pathAttribute(primary, alternates)?.alternates ?? [];
}

/** `alternatepath/addr` on ROOT, optional: a gateway that refuses it loses nothing. */
export const pathPropertyCommand = (path: PathAttribute): Command => ({
  verb: 'Modify',
  terminationId: 'ROOT',
  optional: true,
  descriptors: [
    {
      kind: 'Media',
      terminationState: { properties: [{ name: pathProperty, relation: '=', values: [pathValue(path)] }] },
      streams: [],
    },
  ],
});

export const pathExtensionParameter = (path: PathAttribute): Parameter => ({
  name: 'X-AltPth',
  relation: '=',
  values: [pathValue(path)],
});
