/** What a stranger may use up: connections, time, memory. Every bound has a default that a role may replace. */
import type { StreamLimits } from '../network.ts';

export const defaultStreamLimits: StreamLimits = {
  // Many subscribers may share one address behind a NAT; silent connections make way for new ones (see admission.ts).
  maxConnectionsPerSource: 1_024,
  maxConnections: 12_000,
  // Longer than the hour that registrations usually last: a peer that keeps none alive is still reachable until its next one.
  idleMs: 3_900_000,
  firstMessageMs: 20_000,
  unfinishedMs: 20_000,
  maxUnfinishedBytes: 67_108_864,
  connectMs: 1_000,
  maxUnsentBytes: 1_048_576,
  maxUnsentTotalBytes: 67_108_864,
};

/** Larger than any datagram; a role may ask for less. */
export const defaultMaxMessageBytes = 65_536;

/** What IPv4 leaves for a UDP payload: 65,535 less the two headers (RFC 768, RFC 791 §3.1). */
export const maxDatagramBytes = 65_507;

/** Peers with a socket of their own per listener; beyond that the one longest unused makes way. */
export const maxConnectedPeers = 1_024;

/** Peers with a socket of their own for some seconds, per listener; beyond that ICMP errors of further ones stay unseen. */
export const maxBriefPeers = 128;

/** A peer that is only looked after briefly gives its socket back after this long without use. */
export const briefMs = 4_000;

/** Hosts whose last flow is kept per listener; beyond that all are forgotten, which costs them one object each. */
export const maxSenders = 4_096;

/** Pieces that a WebSocket message may come in: each costs far more than its octets. */
export const maxPieces = 1_024;

/** Messages that may wait for a socket that is being connected. */
export const maxQueuedMessages = 1_024;

/** Asked of the kernel, which may grant less: room for a burst while one message is being handled. */
export const socketBufferBytes = 4_194_304;

/** After an orderly end this long is left for what was written; then the connection is cut. */
export const lingerMs = 2_000;
