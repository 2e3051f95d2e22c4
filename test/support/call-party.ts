/** A party of a call of another protocol than lines, played by the test: it records what the call wants of it, and reports what it is told to. */
import type {
  Call,
  CallControl,
  CallerIdentity,
  Contact,
  CoreServices,
  Leg,
  LegEvent,
  LegProvider,
} from '../../src/internal.ts';

type Commanded = readonly [command: string, argument: unknown];

export class Party implements Leg {
  readonly name: string;
  identity: CallerIdentity | undefined;
  readonly commanded: Commanded[] = [];
  readonly provider: LegProvider;
  readonly #control: CallControl;
  #call: Call | undefined;
  #side: 'caller' | 'callee' = 'callee';
  #offer: string | undefined;

  constructor(control: CallControl, number: string) {
    this.#control = control;
    this.name = number;
    this.provider = {
      protocol: 'other',
      timers: {},
      place: (_contact, call) => {
        this.#call = call;
        this.#side = 'callee';
        return this;
      },
      claim: () => 'unknownNumber',
      numbers: () => [number],
      numbersVersion: 1,
      hasNumber: (dialled) => dialled === number,
      isInCall: () => false,
      isNumberOf: () => false,
      restore: () => undefined,
      snapshotOf: () => undefined,
      hasUnknownEnds: () => false,
      isServed: () => true,
    };
  }

  /** What it was told by this command, in order. */
  heard(command: string): readonly unknown[] {
    return this.commanded.filter(([name]) => name === command).map(([, argument]) => argument);
  }

  report(event: LegEvent): void {
    this.#call?.on(this.#side, event);
  }

  call(number: string, offer: string | undefined): void {
    this.#offer = offer;
    this.#side = 'caller';
    this.#control.begin('other', (call) => {
      this.#call = call;
      return this;
    });
    this.report({ kind: 'digits', number });
  }

  collect(): void {
    this.commanded.push(['collect', undefined]);
  }

  offer(): void {
    this.report({ kind: 'offered', description: this.#offer });
  }

  alert(_callId: string, offer: string | undefined, caller?: CallerIdentity): void {
    this.commanded.push(['alert', offer], ['caller', caller]);
  }

  progress(early: string | undefined): void {
    this.commanded.push(['progress', early]);
  }

  connect(remote: string | undefined): void {
    this.commanded.push(['connect', remote]);
  }

  modify(offer: string | undefined): void {
    this.commanded.push(['modify', offer]);
  }

  modifyAnswer(description: string): void {
    this.commanded.push(['modifyAnswer', description]);
  }

  modifyRefuse(reason: string): void {
    this.commanded.push(['modifyRefuse', reason]);
  }

  digit(signal: string): void {
    this.commanded.push(['digit', signal]);
  }

  release(reason: string): void {
    this.commanded.push(['release', reason]);
  }
}

export const contactOfParty = (number: string): Contact => ({
  protocol: 'other',
  target: number,
  key: number,
  path: [],
  alternates: [],
  updatedMs: 0,
  expiresMs: Number.POSITIVE_INFINITY,
  q: 1,
});

/** The party can be dialled at, and calls from, the controller that has these services. */
export function joinParty(services: CoreServices | undefined, number: string): Party {
  if (services === undefined) throw new Error('no such controller');
  const party = new Party(services.callControl, number);
  services.callControl.register(party.provider);
  void services.locations.save(number, [contactOfParty(number)]);
  return party;
}

/** `v=0` and one audio stream at 192.0.2.7 with these further lines. */
export const partySdp = (port: number, ...attributes: readonly string[]): string =>
  [
    'v=0',
    'o=- 1 1 IN IP4 192.0.2.7',
    's=-',
    'c=IN IP4 192.0.2.7',
    't=0 0',
    `m=audio ${port} RTP/AVP 0`,
    ...attributes,
    '',
  ].join('\r\n');
