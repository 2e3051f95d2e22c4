/** What a person does at the telephones of a simulated gateway, as words: one command a line, from standard input or a script. */
import { formatAddress } from '../../../src/index.ts';
import { mediaAddress } from '../sdp.ts';
import type { SimGateway } from './sim-gateway.ts';
import type { SimTermination } from './sim-termination.ts';

export const consoleHelp =
  'offhook N | onhook N | dial N DIGITS | wait MS | until N hears SIGNAL | until N talking | until N idle | show | quit';

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
  const line = gateway.lines[Number(index) - 1];
  if (line === undefined) return `no line "${index}": there are 1 to ${gateway.lines.length}`;
  switch (verb) {
    case 'offhook':
      line.offHook();
      return undefined;
    case 'onhook':
      line.onHook();
      return undefined;
    case 'dial':
      line.dial(what);
      return undefined;
    case 'until': {
      const holds = condition(gateway, line, what, value);
      for (let waited = 0; waited < untilMs; waited += 20) {
        if (holds()) return undefined;
        await after(20);
      }
      return `line ${index} is not ${what} ${value}: it hears "${line.signal ?? ''}"`;
    }
    default:
      return `no command "${verb}": ${consoleHelp}`;
  }
}

export function describeLine(gateway: SimGateway, line: SimTermination): Readonly<Record<string, unknown>> {
  const media = mediaOf(gateway, line);
  return {
    line: `${line.id}@${gateway.options.name}`,
    hook: line.hook,
    hears: line.signal ?? '',
    context: line.contextId,
    media:
      media === undefined
        ? undefined
        : {
            termination: media.id,
            mode: media.localControl?.mode,
            local: mediaAddress(media.local),
            remote: mediaAddress(media.remote),
          },
    controller: gateway.controller === undefined ? undefined : formatAddress(gateway.controller),
    alternates: gateway.alternates.map(formatAddress),
  };
}

/** The ephemeral termination beside a line. */
export const mediaOf = (gateway: SimGateway, line: SimTermination): SimTermination | undefined =>
  line.contextId === 0 ? undefined : gateway.contexts.members(line.contextId).find(({ kind }) => kind === 'rtp');

export const isIdle = (line: SimTermination): boolean =>
  line.hook === 'on' &&
  line.contextId === 0 &&
  line.signal === undefined &&
  line.events.events.some(({ name }) => name === 'al/of');

function condition(gateway: SimGateway, line: SimTermination, what: string, value: string): () => boolean {
  if (what === 'talking') return () => mediaOf(gateway, line)?.talks === true;
  if (what === 'idle') return () => isIdle(line);
  return () => (line.signal ?? '') === value.toLowerCase();
}

const untilMs = 20_000;
