/**
 * Makes an application that is written on the npm package `sip` follow AlternatePath: one call before it starts, and the package
 * sends and receives through a PathFollower instead of a plain UDP socket (docs/adr/0002).
 */
import {
  type ControllerAddress,
  createNetwork,
  type HopFailure,
  type Logger,
  Metrics,
  parseAddress,
  readAllowRule,
  readTrustRule,
  type SocketAddress,
  silentLog,
  systemClock,
  systemRandom,
  type TransmitterOptions,
} from '../../../src/internal.ts';
import type { SipMessage } from '../codec/messages.ts';
import { type FollowerParts, PathFollower } from './path-follower.ts';
import { type DatagramStandIn, withDatagramStandIn } from './sip-package.ts';
import type { OnRequest, PackageOptions, SipInstance } from './sip-types.ts';

export interface FollowOptions {
  /** Sets of proxies that stand in for each other, best first: `[['192.0.2.1', '192.0.2.2:5070']]`. Others are learned. */
  readonly controllers?: readonly (readonly string[])[];
  /** Whose tags are obeyed besides those of hops that the application itself sends to: addresses or networks. */
  readonly trust?: readonly string[];
  /** Where an alternate may lie (`10.0.0.0/8:5060`); without: wherever a trusted hop says. */
  readonly allow?: readonly string[];
  /** Milliseconds; the defaults are those of the proxy. */
  readonly timers?: Partial<TransmitterOptions & { readonly holdMs: number }>;
  readonly log?: Logger;
  /** A message moved to another proxy. */
  readonly onSwitch?: (event: SwitchEvent) => void;
  /** The port could not be bound; without it the error is thrown, as the package does. */
  readonly onError?: (error: unknown) => void;
}

export interface SwitchEvent {
  readonly method: string;
  readonly callId: string;
  readonly from: ControllerAddress;
  readonly to: ControllerAddress;
  readonly because: HopFailure;
}

/** What must be there of the package; the application goes on using its own copy. */
export interface Followable {
  create(options: PackageOptions, onRequest: OnRequest): SipInstance;
}

/** Changes the package in place and returns it: `start`, `create` and `sip/proxy` follow from then on. A second call replaces the options. */
export function followAlternatePath<S extends Followable>(sip: S, options: FollowOptions = {}): S {
  const create = originals.get(sip.create) ?? sip.create;
  const following: S['create'] = (given, onRequest) =>
    createFollowing({ create }, given, onRequest, (listen) => systemParts(options, listen), options.onError).instance;
  originals.set(following, create);
  sip.create = following;
  return sip;
}

/** What a changed `create` was before. */
const originals = new WeakMap<Followable['create'], Followable['create']>();

export interface Following {
  readonly instance: SipInstance;
  readonly follower: PathFollower;
  /** The bound address. Rejects where it could not be bound. */
  readonly ready: Promise<ControllerAddress>;
}

/** One instance of the package over one follower. */
export function createFollowing(
  sip: Followable,
  options: PackageOptions,
  onRequest: OnRequest,
  parts: (listen: ControllerAddress) => Omit<FollowerParts, 'deliver' | 'listen'>,
  onError?: (error: unknown) => void,
): Following {
  const made: FollowerSocket[] = [];
  const instance = withDatagramStandIn(
    (onMessage) => {
      const listen: ControllerAddress = {
        transport: 'udp',
        host: options.address ?? '0.0.0.0',
        port: options.port ?? 5_060,
      };
      const socket = new FollowerSocket({ ...parts(listen), listen }, onMessage, onError);
      made.push(socket);
      return socket;
    },
    () => sip.create(options, onRequest),
  );
  const [socket] = made;
  if (socket === undefined)
    throw new Error('the package was told not to use UDP: AlternatePath is followed over UDP only');
  return { instance, follower: socket.follower, ready: socket.ready };
}

class FollowerSocket implements DatagramStandIn {
  readonly follower: PathFollower;
  readonly ready: Promise<ControllerAddress>;
  #bound = false;
  #waiting: { bytes: Buffer; to: SocketAddress }[] = [];

  constructor(
    parts: Omit<FollowerParts, 'deliver'>,
    onMessage: (bytes: Buffer, from: { address: string; port: number }) => void,
    onError: ((error: unknown) => void) | undefined,
  ) {
    this.follower = new PathFollower({
      ...parts,
      deliver: (bytes, { host, port }) => onMessage(bytes, { address: host, port }),
    });
    this.ready = this.follower.start().then((local) => {
      this.#bound = true;
      for (const { bytes, to } of this.#waiting) this.follower.send(bytes, to);
      this.#waiting = [];
      return local;
    });
    this.ready.catch((error: unknown) => {
      if (onError !== undefined) onError(error);
      else
        queueMicrotask(() => {
          throw error;
        });
    });
  }

  /** Bound since it was made. */
  bind(): void {}

  send(bytes: Buffer, offset: number, length: number, port: number, address: string): void {
    const message = bytes.subarray(offset, offset + length);
    const to = { host: address, port };
    if (this.#bound) this.follower.send(message, to);
    else if (this.#waiting.length < maxWaiting) this.#waiting.push({ bytes: message, to });
  }

  close(): void {
    void this.ready.then(
      () => this.follower.stop(),
      () => undefined,
    );
  }
}

/** Messages while the socket is being bound. */
const maxWaiting = 1_000;

function systemParts(options: FollowOptions, listen: ControllerAddress): Omit<FollowerParts, 'deliver' | 'listen'> {
  const { log = silentLog, onSwitch } = options;
  const metrics = new Metrics();
  return {
    clock: systemClock,
    random: systemRandom,
    log,
    metrics,
    network: createNetwork({ clock: systemClock, log, metrics }),
    controllers: (options.controllers ?? []).map((group) =>
      group.map((text) => parseAddress(text, { transport: listen.transport, port: 5_060 })),
    ),
    trust: {
      trust: (options.trust ?? []).map((text) => rule(text, readTrustRule)),
      allow: (options.allow ?? []).map((text) => rule(text, readAllowRule)),
      strip: 'none',
    },
    timers: options.timers,
    ownsVia: false,
    ...(onSwitch === undefined
      ? {}
      : {
          switched: (
            { method, callId }: SipMessage,
            from: ControllerAddress,
            to: ControllerAddress,
            because: HopFailure,
          ) => onSwitch({ method, callId, from, to, because }),
        }),
  };
}

function rule<R>(text: string, read: (text: string) => R | undefined): R {
  const found = read(text);
  if (found === undefined) throw new TypeError(`"${text}" is no address, network or domain`);
  return found;
}
