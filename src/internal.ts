/**
 * Everything of the core that protocols may use: the only file of the core that they import. `altpath/internal` is no promise: what
 * is here may change with any version.
 *
 * @example
 * ```ts
 * import { formatAddress, parseAddress } from 'altpath/internal';
 *
 * console.log(formatAddress(parseAddress('tcp:[2001:db8::1]', { port: 5060 })));
 * ```
 */

export * from './caching-dns.ts';
export * from './calls/call.ts';
export * from './calls/call-control.ts';
export * from './calls/call-ids.ts';
export * from './calls/call-machine.ts';
export * from './calls/call-recovery.ts';
export * from './calls/dialling-plan.ts';
export * from './calls/leg.ts';
export * from './calls/leg-provider.ts';
export * from './calls/numbering-plan.ts';
export * from './calls/rebuild.ts';
export * from './calls/release-cause.ts';
export * from './calls/session-description.ts';
export * from './calls/session-media.ts';
export * from './clock.ts';
export * from './cluster/gateway-ownership.ts';
export * from './cluster/hand-over.ts';
export * from './cluster/link-content.ts';
export * from './cluster/member-link.ts';
export * from './cluster/member-probes.ts';
export * from './cluster/members.ts';
export * from './cluster/ownership.ts';
export * from './cluster.ts';
export * from './config/duplicates.ts';
export * from './config/fields.ts';
export * from './config/ip-network.ts';
export * from './config/trust-rules.ts';
export type { EventSink } from './controller/events.ts';
export * from './demo.ts';
export * from './dns.ts';
export * from './errors.ts';
export * from './gateways/audit-hand-over.ts';
export * from './gateways/audit-takeover.ts';
export * from './gateways/control-endpoint.ts';
export * from './gateways/controller-node.ts';
export * from './gateways/demo.ts';
export * from './gateways/gateway-config.ts';
export * from './gateways/gateway-controller.ts';
export * from './gateways/gateway-liveness.ts';
export * from './gateways/gateway-names.ts';
export * from './gateways/gateway-protocol.ts';
export * from './gateways/gateway-provisioning.ts';
export * from './gateways/gateway-registry.ts';
export * from './gateways/gateway-role.ts';
export * from './gateways/gateway-takeover.ts';
export * from './gateways/gateway-transactions.ts';
export * from './gateways/line.ts';
export * from './gateways/line-changes.ts';
export * from './gateways/line-control.ts';
export * from './gateways/line-driver.ts';
export * from './gateways/line-leg.ts';
export * from './gateways/line-provider.ts';
export * from './gateways/line-state.ts';
export * from './gateways/lines.ts';
export * from './gateways/local-time.ts';
export * from './gateways/outgoing-machine.ts';
export * from './gateways/reply-cache.ts';
export * from './gateways/round-trip.ts';
export * from './gateways/rtp-media.ts';
export * from './gateways/simulated-gateway.ts';
export * from './gateways/simulated-media.ts';
export * from './gateways/strangers.ts';
export * from './gateways/transaction-ids.ts';
export * from './keyed-hash.ts';
export * from './location-service.ts';
export * from './log.ts';
export * from './log-output.ts';
export * from './metrics.ts';
export * from './network/address-kind.ts';
export { isWildcard } from './network/local-address.ts';
export * from './network/node-network.ts';
export * from './network/own-addresses.ts';
export * from './network/stream-buffer.ts';
export { checkTls } from './network/tls.ts';
export * from './network.ts';
export * from './octet-budget.ts';
export * from './random.ts';
export * from './rate-limited-log.ts';
export * from './result.ts';
export * from './role.ts';
export * from './signaling/address-names.ts';
export * from './signaling/address-resolver.ts';
export * from './signaling/assembler.ts';
export * from './signaling/controller-address.ts';
export * from './signaling/controller-pool.ts';
export * from './signaling/delivery.ts';
export * from './signaling/directory.ts';
export * from './signaling/failover.ts';
export * from './signaling/name-resolver.ts';
export * from './signaling/path-attribute.ts';
export * from './signaling/protocol-adapter.ts';
export * from './signaling/receiver.ts';
export * from './signaling/transmitter.ts';
export * from './token-bucket.ts';
export * from './unordered-set.ts';
