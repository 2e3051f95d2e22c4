/** ServiceChange parameters in BER, of requests and of replies (RFC 3525 Annex A.2, §7.2.8). */
import type { Descriptor, Parameter, ServiceChangeDescriptor } from '../messages.ts';
import { readErrorDescriptor, readTimeNotation } from './decode-descriptors.ts';
import { readMIdChoice } from './mid.ts';
import type { BerReader } from './reader.ts';
import { readPlainString } from './values.ts';

export const methods: readonly string[] = ['Failover', 'Forced', 'Graceful', 'Restart', 'Disconnected', 'HandOff'];

interface MutableServices {
  kind: 'Services';
  method?: string;
  address?: string;
  version?: number;
  profile?: string;
  reason?: string;
  delay?: number;
  mgcId?: string;
  timeStamp?: string;
  extensions?: readonly Parameter[];
}

export function readServiceParm(r: BerReader, limit: number): ServiceChangeDescriptor {
  const services: MutableServices = { kind: 'Services' };
  while (r.pos < limit) {
    const tag = r.next(limit);
    const stop = r.stop;
    switch (tag) {
      case 0x80:
        services.method = methods[r.uint(stop)] ?? 'x-unknown';
        break;
      case 0xa1:
        services.address = readAddress(r, stop);
        break;
      case 0x82:
        services.version = r.uint(stop);
        break;
      case 0xa3:
        services.profile = readProfile(r, stop);
        break;
      case 0xa4:
        r.next(stop);
        services.reason = readPlainString(r, r.stop);
        break;
      case 0x85:
        services.delay = r.uint(stop);
        break;
      case 0xa6:
        services.mgcId = readMIdChoice(r, r.next(stop), r.stop, 0);
        break;
      case 0xa7:
        services.timeStamp = readTimeNotation(r, stop);
        break;
      case 0xa8: {
        const extension = readNonStandard(r, stop);
        if (extension !== undefined) services.extensions = [extension];
        break;
      }
    }
    r.pos = stop;
  }
  return services;
}

/** ServiceChangeResult: an error, or the parameters of the reply. */
export function readServiceResult(r: BerReader, limit: number): readonly Descriptor[] {
  const choice = r.next(limit);
  const end = r.stop;
  if (choice === 0xa0) return [readErrorDescriptor(r, end)];
  const services: MutableServices = { kind: 'Services' };
  while (r.pos < end) {
    const tag = r.next(end);
    const stop = r.stop;
    switch (tag) {
      case 0xa0:
        services.mgcId = readMIdChoice(r, r.next(stop), r.stop, 0);
        break;
      case 0xa1:
        services.address = readAddress(r, stop);
        break;
      case 0x82:
        services.version = r.uint(stop);
        break;
      case 0xa3:
        services.profile = readProfile(r, stop);
        break;
      case 0xa4:
        services.timeStamp = readTimeNotation(r, stop);
        break;
    }
    r.pos = stop;
  }
  // A reply without parameters says nothing (OTP writes it so).
  return Object.keys(services).length === 1 ? [] : [services];
}

function readAddress(r: BerReader, limit: number): string {
  const tag = r.next(limit);
  const stop = r.stop;
  return tag === 0x80 ? String(r.uint(stop)) : readMIdChoice(r, tag, stop, 1);
}

function readProfile(r: BerReader, limit: number): string {
  r.next(limit);
  return r.string(r.stop).toLowerCase();
}

/** The experimental form carries what text calls an extension: `X-AltPth`. */
function readNonStandard(r: BerReader, limit: number): Parameter | undefined {
  let name = '';
  let data = '';
  while (r.pos < limit) {
    const tag = r.next(limit);
    const stop = r.stop;
    if (tag === 0xa0) {
      if (r.next(stop) === 0x82) name = r.string(r.stop).toLowerCase();
    } else if (tag === 0x81) data = r.string(stop);
    r.pos = stop;
  }
  return name === '' ? undefined : { name, relation: '=', values: [`"${data.replaceAll('"', "'")}"`] };
}
