/** The telephone, and the package's export `altpath/sip-telephone`. */
export type { Call, CallEnd, CallState } from './call.ts';
export { type FollowOptions, followAlternatePath, type SwitchEvent } from './follow-alternate-path.ts';
export {
  type Answer,
  Telephone,
  type TelephoneEvent,
  type TelephoneOptions,
  type TelephoneParts,
} from './telephone.ts';
