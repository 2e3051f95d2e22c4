/** baresip without a sound card or screen: one telephone with one account, driven over its ctrl_tcp module. */
import { existsSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { Certificate } from './certificate.ts';
import { Child } from './child.ts';
import { missing, program } from './programs.ts';
import { scratchDirectory } from './scratch.ts';
import { until } from './until.ts';

export interface PhoneOptions {
  readonly user: string;
  readonly host: string;
  /** The proxy it registers with, `host:port`. */
  readonly proxy: string;
  readonly transport: 'udp' | 'tcp' | 'tls';
  readonly certificate?: Certificate;
  readonly answer?: 'auto' | 'manual';
}

/** An event as ctrl_tcp tells it: `REGISTER_OK`, `CALL_ESTABLISHED`, `CALL_CLOSED`, … */
export type PhoneEvent = z.infer<typeof phoneEvent>;

const phoneEvent = z.looseObject({ type: z.string(), param: z.string().optional(), peeruri: z.string().optional() });

export class Phone {
  readonly child: Child;
  readonly events: PhoneEvent[] = [];
  readonly #socket: Socket;
  #unread = Buffer.alloc(0);

  private constructor(child: Child, socket: Socket) {
    this.child = child;
    this.#socket = socket;
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      this.#unread = Buffer.concat([this.#unread, chunk]);
      this.#readNetstrings();
    });
  }

  /** Starts it and waits until it is registered. */
  static async start(options: PhoneOptions): Promise<Phone> {
    const directory = scratchDirectory(`baresip-${options.user}`);
    writeFiles(directory, options);
    const child = new Child(`baresip ${options.user}`, program('baresip'), ['-4', '-f', directory], { cwd: directory });
    const socket = await until(`baresip ${options.user}: its control port`, 10_000, () =>
      tryConnect(options.host, controlPort),
    );
    const phone = new Phone(child, socket);
    await until(`baresip ${options.user}: registered`, 10_000, () => {
      if (child.exited !== undefined || phone.has('REGISTER_FAIL'))
        throw new Error(`baresip ${options.user}:\n${child.output.slice(-3000)}`);
      return phone.has('REGISTER_OK') || /200 OK/.test(child.output);
    });
    return phone;
  }

  has(type: string): boolean {
    return this.events.some((event) => event.type === type);
  }

  waitFor(type: string, limitMs = 10_000): Promise<PhoneEvent> {
    return until(`${this.child.name}: ${type} (so far ${this.events.map((event) => event.type)})`, limitMs, () =>
      this.events.find((event) => event.type === type),
    );
  }

  dial(uri: string): void {
    this.#command('dial', uri);
  }

  hangUp(): void {
    this.#command('hangup');
  }

  hold(): void {
    this.#command('hold');
  }

  resume(): void {
    this.#command('resume');
  }

  async stop(): Promise<void> {
    this.#socket.destroy();
    await this.child.stop();
  }

  #command(command: string, params?: string): void {
    const text = JSON.stringify({ command, params, token: command });
    this.#socket.write(`${text.length}:${text},`);
  }

  #readNetstrings(): void {
    for (;;) {
      const colon = this.#unread.indexOf(':');
      const length = Number(this.#unread.toString('latin1', 0, Math.max(0, colon)));
      if (colon < 0 || this.#unread.length < colon + length + 2) return;
      const message: unknown = JSON.parse(this.#unread.toString('utf8', colon + 1, colon + 1 + length));
      this.#unread = this.#unread.subarray(colon + length + 2);
      const event = phoneEvent.safeParse(message);
      if (event.success) this.events.push(event.data);
    }
  }
}

/** Why telephones cannot be tried here, or undefined. */
export const phonesMissing = (): string | undefined =>
  missing('baresip') ?? (modulePath() === undefined ? 'the modules of baresip were not found' : undefined);

const controlPort = 4444;

function modulePath(): string | undefined {
  const lib = join(dirname(dirname(program('baresip'))), 'lib', 'baresip', 'modules');
  return [lib, '/usr/lib/baresip/modules', '/usr/local/lib/baresip/modules'].find(existsSync);
}

function writeFiles(directory: string, { user, host, proxy, transport, certificate, answer }: PhoneOptions): void {
  const tls =
    certificate === undefined ? [] : [`sip_certificate ${certificate.bothFile}`, `sip_cafile ${certificate.certFile}`];
  writeFileSync(
    join(directory, 'config'),
    [
      `sip_listen ${host}:5060`,
      ...tls,
      'call_max_calls 4',
      // aubridge joins the sound of two calls in memory; here it has nobody to join, so it is silence.
      'audio_player aubridge,silence',
      'audio_source aubridge,silence',
      'audio_alert aubridge,silence',
      // By address: by name it would not take a loopback interface.
      `net_interface ${host}`,
      `module_path ${modulePath()}`,
      'module g711.so',
      'module aubridge.so',
      'module_app account.so',
      'module_app menu.so',
      'module_app ctrl_tcp.so',
      `ctrl_tcp_listen ${host}:${controlPort}`,
      '',
    ].join('\n'),
  );
  writeFileSync(
    join(directory, 'accounts'),
    `<sip:${user}@${proxy};transport=${transport}>;regint=120;answermode=${answer ?? 'manual'};auth_pass=x;audio_codecs=PCMU\n`,
  );
  writeFileSync(join(directory, 'contacts'), '');
}

function tryConnect(host: string, port: number): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(undefined));
  });
}
