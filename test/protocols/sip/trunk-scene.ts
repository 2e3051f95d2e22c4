/** Trunks: who may use them, what a carrier gets, and what of it the caller never sees. */
import { readTrustRule } from '../../../src/internal.ts';
import { type CarrierOptions, SimCarrier } from '../../support/sip-carrier.ts';
import { fieldsOf, type Peer, request, SipWorld, type SipWorldOptions } from './world.ts';

export const carrierHost = '127.0.0.41:5060';

export interface TrunkWorld {
  readonly world: SipWorld;
  readonly carrier: SimCarrier;
  readonly caller: Peer;
}

export const account = { user: 'trunk1', password: 'secret' };

export async function up(
  carrierOptions: CarrierOptions = {},
  trunk: Readonly<Record<string, unknown>> = {},
  options: SipWorldOptions = {},
): Promise<TrunkWorld> {
  const world = await SipWorld.up({
    numbers: { country: '49', area: '30', emergency: ['112'] },
    ...options,
    trust: { trust: ['127.0.0.9'].map(readTrustRule).filter((rule) => rule !== undefined), ...options.trust },
    config: {
      domains: ['example.com'],
      trunks: [{ name: 'carrier', to: [carrierHost], prefixes: ['+'], pingSeconds: 0, ...account, ...trunk }],
      ...options.config,
    },
  });
  const carrier = await SimCarrier.at(world.network, world.clock, carrierHost, carrierOptions);
  const caller = await world.peer('127.0.0.9:5062');
  return { world, carrier, caller };
}

export const invite = (number: string, options: Parameters<typeof request>[1] = {}): string =>
  request('INVITE', {
    uri: `sip:${number}@example.com`,
    from: '<sip:alice@example.com>;tag=a1',
    to: `<sip:${number}@example.com>`,
    fields: 'Contact: <sip:alice@127.0.0.9:5062>\r\n',
    ...options,
  });

export const cseqs = (texts: readonly string[]): readonly string[] =>
  texts.map((text) => fieldsOf(text, 'cseq')[0] ?? '');
