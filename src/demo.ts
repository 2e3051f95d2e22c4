/** What `altpath demo` asks of a protocol: show that calls survive the death of their controller. */
export interface DemoRequest {
  /** `kill`: the process dies and its host says so (ICMP). `stop`: the host falls silent. */
  readonly how: 'kill' | 'stop';
  /** One of the protocol's `moments`. */
  readonly moment: string;
  readonly calls: number | undefined;
  /** Calls per second. */
  readonly rate: number | undefined;
  /** Play it once more without the path attribute, to show what is lost then? */
  readonly hasControl: boolean;
  /** May lines be coloured and drawn for a person? */
  readonly isTerminal: boolean;
  /** One line for a person; never called where only data is wanted. */
  print(line: string): void;
}

export interface DemoOutcome {
  /** Nothing was lost, and the controller got its work back; what the control run lost does not matter. */
  readonly isSound: boolean;
  /** The figures, for machines. */
  readonly figures: Readonly<Record<string, unknown>>;
}

export interface Demo {
  /** When the controller may die, in the life of a call; the first is the default. */
  readonly moments: readonly string[];
  run(request: DemoRequest): Promise<DemoOutcome>;
  /** Goes on with calls until it is told to end, with dashboards to look at. */
  readonly watch?: ((request: WatchRequest) => Promise<void>) | undefined;
}

export interface WatchRequest {
  /** The port of the controllers' dashboards, each on its own address. */
  readonly adminPort: number;
  print(line: string): void;
  /** Settles when the person who watches wants the next thing to happen; false: it is enough. */
  next(): Promise<boolean>;
}
