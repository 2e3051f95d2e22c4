/** What a person does at the telephones of a simulated gateway, as words: one command a line, from standard input or a script. */
import { formatSocketAddress } from '../../../src/index.ts';
import { readAudio } from '../values/sdp.ts';
import type { SimGateway } from './sim-gateway.ts';
import type { SimLine } from './sim-line.ts';

export const consoleHelp = `offhook N | onhook N | flash N | dial N DIGITS | wait MS | until N hears SIGNAL | until N talking | until N idle | show | quit`;

export interface ConsoleParts {
  readonly gateway: SimGateway;
  after(ms: number): Promise<void>;
  print(text: string): void;
}

/** Does one line. Resolves to `quit`, a complaint, or undefined where all went well. */
export async function runLine({ gateway, after, print }: ConsoleParts, text: string): Promise<string | undefined> {
  const [verb = '', index = '', what = '', value = ''] = text.trim().split(/\s+/);
  if (verb === '' || verb.startsWith('#')) return undefined;
  if (verb === 'quit') return 'quit';
  if (verb === 'show') {
    for (const line of gateway.lines) print(JSON.stringify(describeLine(gateway, line)));
    return undefined;
  }
  if (verb === 'wait') {
    await after(Number(index) || 0);
    return undefined;
  }
  const line = gateway.line(Number(index));
  if (line === undefined) return `no line "${index}": there are 1 to ${gateway.lines.length}`;
  switch (verb) {
    case 'offhook':
      line.offHook();
      return undefined;
    case 'onhook':
      line.onHook();
      return undefined;
    case 'flash':
      line.flash();
      return undefined;
    case 'dial':
      line.dial(what, 50);
      return undefined;
    case 'until': {
      const holds = condition(line, what, value);
      for (let waited = 0; waited < untilMs; waited += 20) {
        if (holds()) return undefined;
        await after(20);
      }
      return `line ${index} is not ${what} ${value}: it hears "${line.hears}"`;
    }
    default:
      return `no command "${verb}": ${consoleHelp}`;
  }
}

export function describeLine(gateway: SimGateway, line: SimLine): Readonly<Record<string, unknown>> {
  const { entity, alternates } = gateway.destination(line);
  return {
    line: `${line.local}@${gateway.options.name}`,
    hook: line.hook,
    hears: line.hears,
    connections: [...line.connections.values()].map(({ callId, mode, port, remote }) => ({
      callId,
      mode,
      port,
      remotePort: remote === undefined ? undefined : readAudio(remote)?.port,
    })),
    notifiedEntity: entity === undefined ? undefined : formatSocketAddress(entity),
    alternates: alternates.map(formatSocketAddress),
  };
}

export const isIdle = (line: SimLine): boolean =>
  line.hook === 'on' &&
  line.connections.size === 0 &&
  line.hears === '' &&
  line.notification.request.events.some(({ id }) => id.toLowerCase() === 'hd');

function condition(line: SimLine, what: string, value: string): () => boolean {
  if (what === 'talking') return () => line.talksTo.length > 0;
  if (what === 'idle') return () => isIdle(line);
  return () => line.hears.toLowerCase() === value.toLowerCase();
}

const untilMs = 20_000;
