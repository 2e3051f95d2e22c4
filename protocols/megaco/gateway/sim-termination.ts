/** A termination of the simulated gateway: an analog line with a handset, or an ephemeral RTP end (RFC 3525 §6.2, Annex E.9, E.12). */
import { type Cancel, type Clock, NumberingPlan, type SimulatedStream, silentCounters } from '../../../src/internal.ts';
import {
  contextNull,
  type Descriptor,
  type EventsDescriptor,
  type LocalControl,
  type ObservedEvent,
  type Parameter,
  type RequestedEvent,
  type SignalsDescriptor,
  type StatisticsDescriptor,
} from '../codec/messages.ts';
import { fromH248Digits, mediaModeOf } from '../line-commands.ts';
import { timeStamp } from '../service-change.ts';

const noEvents: EventsDescriptor = { kind: 'Events', requestId: undefined, events: [] };
const noSignals: SignalsDescriptor = { kind: 'Signals', signals: [] };

export class SimTermination {
  /** What an audit of its packages names. */
  packages: readonly string[] = [];
  readonly id: string;
  readonly kind: 'line' | 'rtp';
  contextId = contextNull;
  hook: 'on' | 'off' = 'on';
  events: EventsDescriptor = noEvents;
  signals: SignalsDescriptor = noSignals;
  localControl: LocalControl | undefined;
  local: string | undefined;
  remote: string | undefined;
  /** The speech of an ephemeral termination, where that is simulated. */
  stream: SimulatedStream | undefined;
  readonly #clock: Clock;
  readonly #observed: (termination: SimTermination, requestId: number, event: ObservedEvent) => void;
  readonly #keys: string[] = [];
  #digits = '';
  #plan: NumberingPlan | undefined;
  #timer: Cancel | undefined;

  constructor(
    id: string,
    kind: 'line' | 'rtp',
    clock: Clock,
    observed: (termination: SimTermination, requestId: number, event: ObservedEvent) => void,
  ) {
    this.id = id;
    this.kind = kind;
    this.#clock = clock;
    this.#observed = observed;
  }

  /** What the telephone on this line hears or does: `al/ri`, `cg/dt`; undefined: silence. */
  get signal(): string | undefined {
    const [first] = this.signals.signals;
    return first?.kind === 'signal' ? first.name : undefined;
  }

  /** Keys that were played to it, oldest first. */
  get keys(): readonly string[] {
    return this.#keys;
  }

  /** Brief signals are over as soon as they are heard (Annex E.5.3); all others replace what was on (§7.1.11). */
  play({ kind, signals }: SignalsDescriptor): void {
    const isKey = (each: SignalsDescriptor['signals'][number]): boolean =>
      each.kind === 'signal' && each.name.startsWith('dg/');
    for (const each of signals) if (each.kind === 'signal' && isKey(each)) this.#keys.push(each.name);
    this.#keys.splice(0, Math.max(0, this.#keys.length - maxKeys));
    this.signals = { kind, signals: signals.filter((each) => !isKey(each)) };
  }

  get collecting(): boolean {
    return this.#plan !== undefined;
  }

  /** Media flows both ways. */
  get talks(): boolean {
    return this.localControl?.mode === 'SendReceive' && this.remote !== undefined;
  }

  offHook(): void {
    this.#setHook('off');
  }

  onHook(): void {
    this.#setHook('on');
  }

  /** Keys, one after the other. */
  dial(digits: string): void {
    for (const digit of digits) this.#digit(digit);
  }

  /** Everything except the handset is as after power-up. Subtract comes here too (§6.2.4). */
  reset(): void {
    this.events = noEvents;
    this.signals = noSignals;
    this.localControl = undefined;
    this.local = undefined;
    this.remote = undefined;
    this.hush();
    this.#stopCollecting();
  }

  stop(): void {
    this.#timer?.();
  }

  /** Nothing is left of its speech. */
  hush(): void {
    this.stream?.close();
    this.stream = undefined;
  }

  /** Its mode or the other party's description has changed. */
  speak(): void {
    this.stream?.set(this.remote, this.localControl?.mode === undefined ? 'none' : mediaModeOf(this.localControl.mode));
  }

  /** Annex E.11.4, E.12.4: octets and packets, sent and received. */
  statistics(): StatisticsDescriptor {
    const { octetsSent, octetsReceived, packetsSent, packetsReceived, packetsLost } =
      this.stream?.counters ?? silentCounters;
    const values = { 'nt/os': octetsSent, 'nt/or': octetsReceived };
    const rtp = { 'rtp/ps': packetsSent, 'rtp/pr': packetsReceived, 'rtp/pl': packetsLost };
    const all = this.stream === undefined ? values : { ...values, ...rtp };
    return {
      kind: 'Statistics',
      statistics: Object.entries(all).map(([name, value]) => ({ name, value: String(value) })),
    };
  }

  /** Replaces the events; `strict=state` reports at once what is so already (Annex E.9.2). */
  arm(events: EventsDescriptor): void {
    this.events = events;
    this.#stopCollecting();
    for (const event of events.events) {
      const map = event.digitMap;
      if (event.name === 'dd/ce' && map !== undefined && 'value' in map) this.#collect(map.value.body);
    }
    for (const event of events.events) {
      const wanted = event.name === 'al/on' ? 'on' : event.name === 'al/of' ? 'off' : undefined;
      if (wanted === this.hook && this.kind === 'line' && isStrictState(event)) {
        this.#report(event, []);
        return;
      }
    }
  }

  describe(items: readonly string[]): readonly Descriptor[] {
    const descriptors: Descriptor[] = [];
    if (items.includes('Media')) {
      const stream = { streamId: 1, localControl: this.localControl, local: this.local, remote: this.remote };
      const bare = this.localControl === undefined && this.local === undefined && this.remote === undefined;
      descriptors.push({
        kind: 'Media',
        terminationState: { properties: [], serviceStates: 'InService' },
        streams: bare ? [] : [stream],
      });
    }
    if (items.includes('Events')) descriptors.push(this.events);
    if (items.includes('Signals')) descriptors.push(this.signals);
    if (items.includes('Statistics') && this.kind === 'rtp') descriptors.push(this.statistics());
    if (items.includes('Packages'))
      descriptors.push({ kind: 'Packages', packages: this.packages.map((name) => ({ name, version: 1 })) });
    return descriptors;
  }

  #setHook(hook: 'on' | 'off'): void {
    if (this.hook === hook) return;
    this.hook = hook;
    if (hook === 'on') this.#stopCollecting();
    const event = this.events.events.find(({ name }) => name === (hook === 'on' ? 'al/on' : 'al/of'));
    if (event !== undefined) this.#report(event, []);
  }

  #report(event: RequestedEvent, parameters: readonly Parameter[]): void {
    // §7.1.11: a detected event ends the signals unless it says otherwise.
    if (event.keepActive !== true) this.signals = noSignals;
    this.#observed(this, this.events.requestId ?? 0, {
      name: event.name,
      timeStamp: timeStamp(this.#clock.now()),
      parameters,
    });
  }

  #collect(body: string): void {
    const alternatives = body.replace(/[()\s]/g, '').split('|');
    this.#digits = '';
    this.#plan = new NumberingPlan([], { extra: alternatives.map(fromH248Digits), maxLength: 65_536 });
  }

  #stopCollecting(): void {
    this.#timer?.();
    this.#timer = undefined;
    this.#plan = undefined;
  }

  #digit(digit: string): void {
    const plan = this.#plan;
    if (plan === undefined || this.hook === 'on') return;
    this.#timer?.();
    // The first key silences the dial tone (Annex E.7: it is ended by what it asks for).
    if (this.#digits === '') this.signals = noSignals;
    this.#digits += digit;
    const match = plan.match(this.#digits);
    const more = [...'0123456789*#'].some((next) => plan.match(this.#digits + next) !== 'impossible');
    if (match === 'impossible') this.#complete('PM');
    else if (match === 'complete' && !more) this.#complete('UM');
    else this.#timer = this.#clock.after(4_000, () => this.#complete(match === 'complete' ? 'FM' : 'PM'));
  }

  #complete(method: 'UM' | 'FM' | 'PM'): void {
    this.#stopCollecting();
    const event = this.events.events.find(({ name }) => name === 'dd/ce');
    if (event === undefined) return;
    const symbols = this.#digits.replaceAll('*', 'E').replaceAll('#', 'F');
    this.#report(event, [
      { name: 'ds', relation: '=', values: [`"${symbols}"`] },
      { name: 'meth', relation: '=', values: [method] },
    ]);
  }
}

const maxKeys = 32;

const isStrictState = ({ parameters }: RequestedEvent): boolean =>
  parameters.some(({ name, values }) => name === 'strict' && values[0]?.toLowerCase() === 'state');
