/** ServiceChange parameters in BER, of requests and of replies (RFC 3525 Annex A.2, §7.2.8). */
import type { Parameter, ServiceChangeDescriptor } from '../messages.ts';
import { methods } from './decode-services.ts';
import { writeTimeNotation } from './encode-descriptors.ts';
import { writeMIdChoice } from './mid.ts';
import { writeString } from './values.ts';
import type { BerWriter } from './writer.ts';

export function writeServiceParm(w: BerWriter, tag: number, services: ServiceChangeDescriptor): void {
  const mark = w.mark;
  const [extension] = services.extensions ?? [];
  if (extension !== undefined) writeNonStandard(w, extension);
  if (services.timeStamp !== undefined) writeTimeNotation(w, 0xa7, services.timeStamp);
  if (services.mgcId !== undefined) {
    const choice = w.mark;
    writeMIdChoice(w, services.mgcId, 0);
    w.close(0xa6, choice);
  }
  if (services.delay !== undefined) w.uint(0x85, services.delay);
  // Mandatory in binary as in text.
  const reason = w.mark;
  writeString(w, services.reason ?? '');
  w.close(0x04, reason);
  w.close(0xa4, reason);
  if (services.profile !== undefined) writeProfile(w, services.profile);
  if (services.version !== undefined) w.uint(0x82, services.version);
  if (services.address !== undefined) writeAddress(w, services.address);
  const method = methods.indexOf(services.method ?? '');
  w.uint(0x80, method < 0 ? 3 : method);
  w.close(tag, mark);
}

export function writeServiceResult(w: BerWriter, tag: number, services: ServiceChangeDescriptor): void {
  const mark = w.mark;
  if (services.timeStamp !== undefined) writeTimeNotation(w, 0xa4, services.timeStamp);
  if (services.profile !== undefined) writeProfile(w, services.profile);
  if (services.version !== undefined) w.uint(0x82, services.version);
  if (services.address !== undefined) writeAddress(w, services.address);
  if (services.mgcId !== undefined) {
    const choice = w.mark;
    writeMIdChoice(w, services.mgcId, 0);
    w.close(0xa0, choice);
  }
  w.close(tag, mark);
}

function writeAddress(w: BerWriter, address: string): void {
  const mark = w.mark;
  if (/^\d+$/.test(address)) w.uint(0x80, Number(address));
  else writeMIdChoice(w, address, 1);
  w.close(0xa1, mark);
}

function writeProfile(w: BerWriter, profile: string): void {
  const mark = w.mark;
  w.string(0x80, profile);
  w.close(0xa3, mark);
}

/** The experimental identifier has eight characters (Annex A.2, NonStandardIdentifier). */
function writeNonStandard(w: BerWriter, { name, values }: Parameter): void {
  const mark = w.mark;
  const [value = ''] = values;
  w.string(0x81, value.startsWith('"') ? value.slice(1, -1) : value);
  const choice = w.mark;
  w.string(0x82, name.toLowerCase() === 'x-altpth' ? 'X-AltPth' : name.padEnd(8).slice(0, 8));
  w.close(0xa0, choice);
  w.close(0xa8, mark);
}
