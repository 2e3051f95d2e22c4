/// <reference path="./sip.d.ts" preserve="true" />
/**
 * What programs import from `altpath/sip-telephone`: a telephone, and what makes an application on the npm package `sip` follow
 * AlternatePath. Importing it gives that package its types, too.
 *
 * @example
 * ```ts
 * import sip from 'sip';
 * import { followAlternatePath } from 'altpath/sip-telephone';
 *
 * followAlternatePath(sip, {
 *   controllers: [['192.0.2.1', '192.0.2.2']],
 *   onSwitch: ({ method, to, because }) => console.log(`${method} moved to ${to.host}: ${because}`),
 * });
 * sip.start({ port: 5060 }, (request) => sip.send(sip.makeResponse(request, 405)));
 * ```
 *
 * @example A telephone that registers, and asks another for its options:
 * ```ts
 * import { createNetwork, Metrics, parseAddress, silentLog, systemClock, systemRandom } from 'altpath/internal';
 * import { Telephone } from 'altpath/sip-telephone';
 *
 * const parts = { clock: systemClock, random: systemRandom, log: silentLog, metrics: new Metrics() };
 * const telephone = new Telephone(
 *   { ...parts, network: createNetwork(parts) },
 *   {
 *     user: 'alice',
 *     domain: 'example.com',
 *     listen: parseAddress('127.0.0.1', { port: 0 }),
 *     servers: [parseAddress('127.0.0.1', { port: 5060 }), parseAddress('127.0.0.2', { port: 5060 })],
 *   },
 * );
 * await telephone.start();
 * await telephone.stop();
 * ```
 */

export { type FollowOptions, followAlternatePath, type SwitchEvent } from './follow-alternate-path.ts';
export type {
  OnRequest,
  PackageAddress,
  PackageHeaders,
  PackageOptions,
  PackageRemote,
  PackageRequest,
  PackageResponse,
  PackageUri,
  SipInstance,
  SipPackage,
} from './sip-types.ts';
export {
  type Answer,
  Telephone,
  type TelephoneEvent,
  type TelephoneOptions,
  type TelephoneParts,
} from './telephone.ts';
export type { Call, CallEnd, CallMedia, CallState } from './telephone-line.ts';
