/**
 * What our messages to a gateway say about where its own are to go: `N:` where RFC 3435 §3.2.2 allows it, and the path attribute in the
 * form that the gateway bears (docs/alternate-path.md §4).
 */
import {
  type Assembler,
  addressKey,
  type ControllerAddress,
  type Flow,
  type Gateway,
  type PathAttribute,
} from '../../src/internal.ts';
import { pathParameter, redListParameter } from './alternate-path.ts';
import type { Parameter } from './messages.ts';
import { writeNotifiedEntity } from './values/names.ts';

export interface RoutingParts {
  readonly assembler: Assembler;
  /** As configured; else our own address. */
  readonly notifiedEntity: string | undefined;
  readonly advertise: string | undefined;
  self(): ControllerAddress;
  /** Whose gateway it is; undefined: ours, or nobody's. */
  homeOf(gateway: Gateway): ControllerAddress | undefined;
  isDead(member: ControllerAddress): boolean;
}

export class Routing {
  readonly #parts: RoutingParts;
  /** By what they say; there are as many as members are dead or not. */
  readonly #texts = new Map<string, PathTexts>();

  constructor(parts: RoutingParts) {
    this.#parts = parts;
  }

  /** `named`: may the message have `N:`? `dialect`: what is left out of it. */
  parameters(gateway: Gateway, flow: Flow, named: boolean, dialect: ReadonlySet<string>): readonly Parameter[] {
    const parameters: Parameter[] = named ? [{ code: 'N', value: this.notifiedEntity(flow) }] : [];
    const path = this.#path(gateway, flow);
    if (path === undefined) return parameters;
    if (named && gateway.dialect.has('RED') && !dialect.has('noRedirectList')) parameters.push(path.red);
    if (!dialect.has('noPath')) parameters.push(path.vendor);
    return parameters;
  }

  /** Unknown parameters of a response are ignored (§3.3), so it is in every one. */
  inResponse(gateway: Gateway, flow: Flow): readonly Parameter[] {
    const path = this.#path(gateway, flow);
    return path === undefined ? [] : [path.vendor];
  }

  notifiedEntity(flow: Flow): string {
    return this.#parts.notifiedEntity ?? writeNotifiedEntity({ ...this.#address(flow), user: 'ca' });
  }

  #address({ local }: Flow): ControllerAddress {
    const { advertise, self } = this.#parts;
    const wildcard = local.host === '0.0.0.0' || local.host === '::';
    return { transport: 'udp', host: wildcard ? (advertise ?? self().host) : local.host, port: local.port };
  }

  #path(gateway: Gateway, flow: Flow): PathTexts | undefined {
    const { assembler, homeOf, isDead, self } = this.#parts;
    const home = homeOf(gateway);
    const from = this.#address(flow);
    const path =
      home === undefined || addressKey(home) === addressKey(self())
        ? assembler.pathFrom(from)
        : assembler.takeoverPath(from, home, isDead);
    return path && this.#textsOf(path);
  }

  #textsOf(path: PathAttribute): PathTexts {
    const key = [path.primary, ...path.alternates].map(addressKey).join(' ');
    let texts = this.#texts.get(key);
    if (texts === undefined) {
      const named = {
        primary: { ...path.primary, user: path.primary.user ?? 'ca' },
        alternates: path.alternates.map((each) => ({ ...each, user: each.user ?? 'ca' })),
      };
      texts = { vendor: pathParameter(named), red: redListParameter(named) };
      this.#texts.set(key, texts);
    }
    return texts;
  }
}

interface PathTexts {
  readonly vendor: Parameter;
  readonly red: Parameter;
}
