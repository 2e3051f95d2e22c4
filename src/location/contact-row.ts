/** A contact as JSON text in a store, and back. The text may be another version's: what cannot be read is no contact. */

import type { Contact } from '../location-service.ts';
import { type ControllerAddress, isTransport } from '../signaling/controller-address.ts';

/** Record, key and expiry have columns of their own. */
export function contactToText(contact: Contact): string {
  const { key: _key, expiresMs: _expiresMs, ...rest } = contact;
  return JSON.stringify(rest);
}

export function contactFromText(text: string, key: string, expiresMs: number): Contact | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(value)) return undefined;
  const {
    protocol,
    target,
    path,
    alternates,
    q,
    updatedMs,
    address,
    flow,
    instance,
    regId,
    callId,
    cseq,
    userAgent,
    params,
  } = value;
  if (typeof protocol !== 'string' || typeof target !== 'string') return undefined;
  if (typeof q !== 'number' || typeof updatedMs !== 'number') return undefined;
  if (!Array.isArray(path) || !path.every(isText)) return undefined;
  if (!Array.isArray(alternates) || !alternates.every(isAddress)) return undefined;
  if (address !== undefined && !isAddress(address)) return undefined;
  if (
    !isOptionalText(flow) ||
    !isOptionalText(instance) ||
    !isOptionalText(callId) ||
    !isOptionalText(userAgent) ||
    !isOptionalText(params)
  )
    return undefined;
  if (!isOptionalNumber(regId) || !isOptionalNumber(cseq)) return undefined;
  return {
    protocol,
    target,
    key,
    expiresMs,
    path,
    alternates,
    q,
    updatedMs,
    address,
    flow,
    instance,
    regId,
    callId,
    cseq,
    userAgent,
    params,
  };
}

/** Named so that fields can be read with a dot whatever else the text holds. */
interface RowFields {
  readonly protocol?: unknown;
  readonly target?: unknown;
  readonly path?: unknown;
  readonly alternates?: unknown;
  readonly q?: unknown;
  readonly updatedMs?: unknown;
  readonly address?: unknown;
  readonly flow?: unknown;
  readonly instance?: unknown;
  readonly regId?: unknown;
  readonly callId?: unknown;
  readonly cseq?: unknown;
  readonly userAgent?: unknown;
  readonly params?: unknown;
  readonly transport?: unknown;
  readonly host?: unknown;
  readonly port?: unknown;
  readonly user?: unknown;
}

const isObject = (value: unknown): value is RowFields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isText = (value: unknown): value is string => typeof value === 'string';

const isOptionalText = (value: unknown): value is string | undefined => value === undefined || isText(value);

const isOptionalNumber = (value: unknown): value is number | undefined =>
  value === undefined || typeof value === 'number';

const isAddress = (value: unknown): value is ControllerAddress =>
  isObject(value) &&
  isText(value.transport) &&
  isTransport(value.transport) &&
  isText(value.host) &&
  typeof value.port === 'number' &&
  isOptionalText(value.user);
