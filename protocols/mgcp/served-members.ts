/**
 * `X-ALTSV`: the members whose gateways the sender serves, beside the questions of call agents whether they live and the answers to them.
 * Members of the version before go by it, and so do we where no secret is shared.
 */
import { addressKey, type ControllerAddress, type Members } from '../../src/internal.ts';
import { type MgcpDatagram, type Parameter, parameter } from './codec/messages.ts';
import { readNotifiedEntity, writeNotifiedEntity } from './codec/values/names.ts';

export function servedMembers(serves: readonly ControllerAddress[], isLeaving: boolean): Parameter {
  const said = isLeaving ? [leaving] : serves;
  return { code: servesCode, value: said.map((each) => writeNotifiedEntity(each)).join(', ') };
}

/** A datagram from a partner's address, which may be anybody's. */
export function heardServedMembers(
  members: Members,
  from: ControllerAddress,
  { messages: [first] }: MgcpDatagram,
): void {
  if (first === undefined || first.kind === 'broken' || members.hasLink) return;
  const said = parameter(first, servesCode);
  if (said === undefined) return;
  const serves = new Set<string>();
  for (const item of said.split(',').slice(0, 64)) {
    const served = readNotifiedEntity(item);
    if (served !== undefined) serves.add(addressKey(served));
  }
  const isLeaving = serves.delete(addressKey(leaving));
  members.said(from, serves, isLeaving);
}

const servesCode = 'X-ALTSV';

/** Said instead of the members served: "I leave, take what is mine". A name that no host can have. */
const leaving: ControllerAddress = { transport: 'udp', host: 'leaving.invalid', port: 2727 };
