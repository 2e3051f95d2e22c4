/** The MEGACO role: sockets, transactions, controller and partners, put together. */
import {
  type ControllerAddress,
  ControllerNode,
  type CoreServices,
  gatewayRole,
  limitedEvent,
  partnersOf,
  RateLimitedLog,
  type Role,
  Strangers,
  type TrustSettings,
} from '../../src/internal.ts';
import { createMegacoAdapter } from './adapter.ts';
import { plainNaming } from './codec/codec.ts';
import type { MegacoMessage, MId, PeerFormat } from './codec/messages.ts';
import { addressMId } from './codec/mid.ts';
import { type MegacoConfig, megacoConfigSchema } from './config.ts';
import { MegacoController } from './protocol.ts';
import { MegacoEndpoint, remoteOf } from './transactions.ts';

/** RFC 3525 §8.1.1: 32 bits; 0 is the null id of an error that belongs to no transaction. */
const idSpace = { min: 1, max: 0xffff_fffe };

export function createMegacoRole(services: CoreServices, config: MegacoConfig, _core: TrustSettings): Role {
  const { clock, metrics, cluster } = services;
  const log = services.log.child({ protocol: 'megaco' });
  const limited = new RateLimitedLog(log, clock);
  const partnerAddresses: readonly ControllerAddress[] = partnersOf(cluster);
  const { timers } = config;

  const mId = (): MId => config.mid ?? addressMId(node.self());
  const formatFor = (to: ControllerAddress): PeerFormat =>
    megaco.mediaGateways.at(to)?.format ?? claimantAt(to)?.format ?? { encoding: 'pretty', version: 1 };
  /** Who says to be there, and is asked. */
  const claimantAt = (to: ControllerAddress) => {
    const gateway = controller.roaming.claimant(to);
    return gateway && megaco.mediaGateways.byName(gateway.name);
  };
  const adapter = createMegacoAdapter({
    mId,
    namingOf: (sender) => megaco.mediaGateways.byMId(sender)?.naming ?? plainNaming,
    formatFor,
  });
  const node: ControllerNode<MegacoMessage> = new ControllerNode({
    services,
    adapter,
    config,
    idSpace,
    isDead: (member) => controller.members.find(member)?.state === 'dead',
  });
  const { assembler, ids, pool } = node;

  const isPartner = (host: string): boolean => partnerAddresses.some((partner) => partner.host === host);
  const megaco: MegacoController = new MegacoController({
    services,
    log,
    config,
    node,
    endpoint: () => endpoint,
    path: (gateway) => assembler.path(node.self(), controller.standsInFor(gateway)),
  });
  const { controller } = megaco;
  const endpoint: MegacoEndpoint = new MegacoEndpoint({
    adapter,
    assembler,
    services,
    log,
    listen: config.listen,
    pool,
    ids,
    mId,
    timers: { tMaxMs: timers.tMaxMs, tHistMs: timers.tHistMs, longTimerMs: timers.pendingMs },
    formatFor,
    homeFor(to) {
      const mg = megaco.mediaGateways.at(to);
      return mg && controller.standsInFor(mg.name);
    },
    securityFor(host, sender) {
      const claimed = sender === undefined ? undefined : megaco.mediaGateways.byMId(sender);
      const mg = claimed !== undefined && controller.roaming.has(claimed.gateway) ? claimed : undefined;
      return (mg ?? megaco.mediaGateways.atHost(host))?.security;
    },
    admits: (message, flow) => {
      services.link?.noticeAbsence();
      const from = remoteOf(flow);
      for (const id of repliesIn(message)) {
        controller.probes.heard(id, from);
        controller.roaming.heard(id, from);
      }
      const { host } = flow.remote;
      const { mediaGateways } = megaco;
      // Where it is asked for its signature, or for an answer of its own.
      const claimed = controller.roaming.size === 0 ? undefined : mediaGateways.byMId(message.mId);
      if (claimed !== undefined && controller.roaming.has(claimed.gateway)) {
        if (claimed.security === undefined || message.authentication !== undefined) return true;
        return strangers.mayAnswer(host) ? 'refused' : false;
      }
      if (mediaGateways.sender(message, flow) !== undefined || isPartner(host)) return true;
      // What a provisioned host answers is matched by its transaction id, whatever it calls itself.
      if (mediaGateways.atHost(host) !== undefined && !hasRequest(message)) return true;
      unauthorized.add();
      limitedEvent(limited, 'strangerRefused', host, () => ({ named: message.mId, from: host }));
      return strangers.mayAnswer(host) ? 'refused' : false;
    },
    answersTo: ({ remote: { host } }) =>
      megaco.mediaGateways.atHost(host) !== undefined || isPartner(host) || strangers.mayAnswer(host),
    maxReplies: () => controller.maxReplies(),
    members: () => controller.members,
    moved: (isElsewhere) => controller.moved(isElsewhere),
    disconnected: (from) => megaco.disconnected(from),
    heard: (message, flow) => {
      const { mediaGateways } = megaco;
      const claimed = controller.roaming.size === 0 ? undefined : mediaGateways.byMId(message.mId);
      if (claimed !== undefined && controller.roaming.has(claimed.gateway)) {
        const again = () => endpoint.receive(message, flow);
        const isSigned = claimed.security !== undefined;
        // Only a request says a name; what answers ours is known by its transaction.
        if (!isSigned && !hasRequest(message)) return mediaGateways.sender(message, flow) !== undefined;
        const verdict = controller.roaming.judge(claimed.gateway, remoteOf(flow), isSigned, again);
        // RFC 3525 Annex D.1.4: it shall not take us for dead meanwhile.
        if (verdict === 'held') endpoint.pend(message, flow);
        if (verdict !== 'admitted') return false;
      }
      if (message.encoding === undefined || message.body.kind === 'error') return true;
      mediaGateways.sender(message, flow)?.encoding.heard(message.encoding);
      return true;
    },
    onRequest: (incoming) => {
      const mg = megaco.mediaGateways.sender(incoming.message, incoming.flow);
      if (mg !== undefined) megaco.onRequest(mg, incoming);
      else if (isHeartbeat(incoming.request.actions)) incoming.reply(heartbeatReply);
      else incoming.refuse(402, 'Unauthorized');
    },
    onMessageError: (error, message, flow) => {
      const mg = megaco.mediaGateways.sender(message, flow);
      const changes = mg?.isTroubled(message.encoding ?? 'pretty') === true;
      limited.warn('peer could not read our message', flow.remote.host, () => ({
        mId: message.mId,
        from: flow.remote.host,
        code: error.code,
        text: error.text,
        changes,
      }));
      // What is open is written anew, in the other form.
      if (changes && mg !== undefined) endpoint.redirect(mg.gateway);
    },
  });
  const unauthorized = metrics.counter('requests_unauthorized_total', 'Requests of senders that are not provisioned', {
    protocol: 'megaco',
  });
  const strangers = new Strangers(clock);

  return gatewayRole({
    name: 'megaco',
    title: 'MEGACO gateway controller',
    services,
    log,
    node,
    endpoint,
    config,
    controller,
    parse: (fresh) => megacoConfigSchema.safeParse(fresh).data,
    provision: ({ gateways, lines, digitMap }) =>
      controller.provision({
        gateways,
        lines: lines.map(({ termination, ...line }) => ({ ...line, endpoint: termination })),
        digitMap,
      }),
    stop() {
      megaco.stop();
      limited.close();
    },
    status: () => ({ mId: mId(), openTransactions: endpoint.open }),
  });
}

type Actions = Parameters<MegacoController['onRequest']>[1]['request']['actions'];

/** The question whether we live, which partners ask: an audit of nothing. */
const isHeartbeat = (actions: Actions): boolean =>
  actions.length === 1 &&
  actions[0]?.commands.length === 1 &&
  actions[0].commands[0]?.verb === 'AuditValue' &&
  actions[0].commands[0].terminationId === 'ROOT';

const hasRequest = ({ body }: MegacoMessage): boolean =>
  body.kind === 'transactions' && body.transactions.some(({ kind }) => kind === 'request');

const repliesIn = ({ body }: MegacoMessage): readonly number[] =>
  body.kind === 'transactions'
    ? body.transactions.flatMap((transaction) => (transaction.kind === 'reply' ? transaction.transactionId : []))
    : [];

const heartbeatReply = [
  { contextId: 0, commands: [{ verb: 'AuditValue' as const, terminationId: 'ROOT', descriptors: [] }] },
];
