/** A media gateway as osmo-mgw is one: named RTP endpoints, one remembered transaction for each, and it hangs at times. */
import { decodeDatagram } from '../../../protocols/mgcp/codec/decode.ts';
import { encodeDatagram } from '../../../protocols/mgcp/codec/encode.ts';
import { type MgcpCommand, type MgcpResponse, parameter, respond } from '../../../protocols/mgcp/codec/messages.ts';
import { writeAudio } from '../../../protocols/mgcp/codec/values/sdp.ts';
import type { Flow } from '../../../src/internal.ts';
import type { World } from './world.ts';

export const relayHost = '127.0.0.20';

interface RelayEndpoint {
  readonly connections: Map<string, string>;
  last: { readonly id: number; readonly response: MgcpResponse } | undefined;
}

export class RelayGateway {
  readonly endpoints = new Map<string, RelayEndpoint>();
  readonly seen: { readonly atMs: number; readonly command: MgcpCommand }[] = [];
  readonly #world: World;
  #stalledUntilMs = 0;
  #serial = 0;

  constructor(world: World, count = 31) {
    this.#world = world;
    for (let number = 1; number <= count; number += 1)
      this.endpoints.set(`rtpbridge/${number.toString(16)}`, { connections: new Map(), last: undefined });
  }

  async start(): Promise<void> {
    await this.#world.network.host(relayHost).bind(
      { transport: 'udp', host: relayHost, port: 2427 },
      {},
      {
        received: (bytes, flow) => {
          const waitMs = Math.max(0, this.#stalledUntilMs - this.#world.clock.now());
          if (waitMs === 0) this.#onDatagram(Buffer.from(bytes), flow);
          else this.#world.clock.after(waitMs, () => this.#onDatagram(Buffer.from(bytes), flow));
        },
        failed() {},
      },
    );
  }

  get connections(): number {
    return [...this.endpoints.values()].reduce((sum, { connections }) => sum + connections.size, 0);
  }

  /** What comes meanwhile is done afterwards, in order. */
  stall(ms: number): void {
    this.#stalledUntilMs = this.#world.clock.now() + ms;
  }

  #onDatagram(bytes: Buffer, flow: Flow): void {
    const decoded = decodeDatagram(bytes);
    for (const message of decoded.ok ? decoded.value.messages : []) {
      if (message.kind !== 'command') continue;
      this.seen.push({ atMs: this.#world.clock.now(), command: message });
      flow.send(encodeDatagram({ messages: [this.#execute(message)] }, undefined));
    }
  }

  #execute(command: MgcpCommand): MgcpResponse {
    const { transactionId: id, verb } = command;
    const name = command.endpoint.split('@')[0]?.toLowerCase() ?? '';
    if (name === 'rtpbridge/*' && verb === 'DLCX') {
      for (const { connections } of this.endpoints.values()) connections.clear();
      return respond(id, 200, 'OK');
    }
    const any = [...this.endpoints].find(([, { connections }]) => connections.size === 0);
    const [taken, endpoint] = name === 'rtpbridge/*' ? (any ?? []) : [name, this.endpoints.get(name)];
    if (endpoint === undefined) return respond(id, name === 'rtpbridge/*' ? 403 : 500, 'FAIL');
    if (endpoint.last?.id === id) return endpoint.last.response;
    const response = this.#executeOn(command, endpoint, `${taken}@mgw`);
    endpoint.last = { id, response };
    return response;
  }

  #executeOn(command: MgcpCommand, { connections }: RelayEndpoint, name: string): MgcpResponse {
    const { transactionId: id, verb } = command;
    const callId = parameter(command, 'C') ?? '';
    const others = [...connections.values()].some((each) => each !== callId);
    switch (verb) {
      case 'CRCX': {
        if (others) return respond(id, 400, 'FAIL');
        if (connections.size >= 2) return respond(id, 540, 'FAIL');
        this.#serial += 1;
        const own = this.#serial.toString(16).toUpperCase();
        connections.set(own, callId);
        const sdp = writeAudio(1, 1, { address: relayHost, port: 41_000 + 2 * this.#serial, payloadTypes: [0] });
        return respond(
          id,
          200,
          'OK',
          [
            { code: 'I', value: own },
            { code: 'Z', value: name },
          ],
          [sdp],
        );
      }
      case 'MDCX':
        return respond(id, connections.has(parameter(command, 'I') ?? '') ? 200 : 515, '');
      case 'DLCX':
        if (connections.size === 0) return respond(id, 515, 'FAIL');
        if (others) return respond(id, 516, 'FAIL');
        connections.clear();
        return respond(id, 250, 'OK');
      default:
        return respond(id, 200, 'OK');
    }
  }
}
