/**
 * Who calls, as an analog line displays it: the signal `andisp/dwa` of H.248.23 (package 0x003c) rings and sends a data block. The block
 * is the call set-up message of the multiple data message format, by which telephones are told in most networks.
 */
import type { CallerIdentity } from '../../src/internal.ts';
import type { Signal } from './codec/messages.ts';

export const displayPackage = 'andisp';

/** Rings like `al/ri`. */
export const displaySignal = 'andisp/dwa';

/** `localTime`: `09141726`, month, day, hour and minute where the gateway is. `isText`: its encoding has a name for the pattern of the bell. */
export const ringWithCaller = (caller: CallerIdentity, localTime: string, isText: boolean): Signal => ({
  kind: 'signal',
  name: displaySignal,
  parameters: [
    { name: 'ddb', relation: '=', values: [displayDataBlock(caller, localTime).toString('hex')] },
    ...(isText ? [{ name: 'pattern', relation: '=', values: ['1'] } as const] : []),
  ],
});

/** Message type, length, one element for time, number and name each, and what makes all octets add up to zero. */
export function displayDataBlock({ presentation, number, name }: CallerIdentity, localTime: string): Buffer {
  const absence = presentation === 'restricted' ? 'P' : 'O';
  const shown = (text: string | undefined): string => (presentation === 'allowed' ? (text ?? '') : '');
  const digits = shown(number)
    .replace(/[^0-9]/g, '')
    .slice(0, maxDigits);
  // One octet for each character; what has none is left out.
  const letters = shown(name)
    .replace(/[^\x20-\x7e\xa0-\xff]/g, '')
    .slice(0, maxName);
  const elements = Buffer.concat([
    element(dateAndTime, localTime),
    digits === '' ? element(noNumber, absence) : element(callingNumber, digits),
    letters === '' ? element(noName, absence) : element(callingName, letters),
  ]);
  const message = Buffer.concat([Buffer.from([callSetUp, elements.length]), elements]);
  const sum = message.reduce((total, octet) => total + octet, 0);
  return Buffer.concat([message, Buffer.from([(256 - (sum % 256)) % 256])]);
}

const element = (type: number, text: string): Buffer =>
  Buffer.concat([Buffer.from([type, text.length]), Buffer.from(text, 'latin1')]);

const callSetUp = 0x80;
const dateAndTime = 0x01;
const callingNumber = 0x02;
const noNumber = 0x04;
const callingName = 0x07;
const noName = 0x08;

const maxDigits = 20;
const maxName = 50;
