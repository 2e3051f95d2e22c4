/** What a person does at the telephones of a simulated gateway, as words: one command a line, from standard input or a script. */
import type { SimulatedGateway, SimulatedLine } from './simulated-gateway.ts';

export const consoleHelp =
  'offhook N | onhook N | flash N | dial N DIGITS | wait MS | until N hears SIGNAL | until N talking | until N heard [HERTZ] | until N idle | show | quit';

export interface ConsoleParts {
  readonly gateway: SimulatedGateway;
  after(ms: number): Promise<void>;
  /** Shows a line's state. */
  show(line: SimulatedLine): void;
}

/** Does one line. Resolves to `quit`, a complaint, or undefined where all went well. */
export async function runLine({ gateway, after, show }: ConsoleParts, text: string): Promise<string | undefined> {
  const [verb = '', index = '', what = '', value = ''] = text.trim().split(/\s+/);
  if (verb === '' || verb.startsWith('#')) return undefined;
  if (verb === 'quit') return 'quit';
  if (verb === 'show') {
    for (const line of gateway.lines) show(line);
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
    case 'flash':
      line.flash();
      return undefined;
    case 'dial':
      line.dial(what);
      return undefined;
    case 'until': {
      const holds = condition(line, what, value);
      if (holds === undefined) return `nothing to wait for in "${what}": ${consoleHelp}`;
      for (let waited = 0; waited < untilMs; waited += 20) {
        if (holds()) return undefined;
        await after(20);
      }
      return `line ${index} is not ${what} ${value}: it hears "${line.signal}"`;
    }
    default:
      return `no command "${verb}": ${consoleHelp}`;
  }
}

/** A signal may be called by its name on the wire (`L/dl`) or by what it is (`dial`). */
function condition(line: SimulatedLine, what: string, value: string): (() => boolean) | undefined {
  if (what === 'talking') return () => line.media?.sendsTo !== undefined;
  if (what === 'idle') return () => line.isIdle;
  // Anything, or this tone.
  if (what === 'heard') return () => line.heard !== undefined && (value === '' || line.heard.toneHz === Number(value));
  if (what !== 'hears') return undefined;
  const wanted = value.toLowerCase();
  return () => line.signal.toLowerCase() === wanted || line.hears === wanted;
}

const untilMs = 20_000;
