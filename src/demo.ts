/** What `altpath demo` asks of a protocol: show that calls survive the death of their controller. */
export interface DemoRequest {
  /** `kill`: the process dies and its host says so (ICMP). `stop`: the host falls silent. */
  readonly how: 'kill' | 'stop';
  /** One of the protocol's `moments`. */
  readonly moment: string;
  readonly calls: number | undefined;
  /** Calls per second. */
  readonly rate: number | undefined;
  /** May lines be coloured and drawn for a person? */
  readonly isTerminal: boolean;
  /** One line for a person; never called where only data is wanted. */
  print(line: string): void;
}

export interface DemoOutcome {
  /** Nothing was lost, and the controller got its work back. */
  readonly isSound: boolean;
  /** The figures, for machines. */
  readonly figures: Readonly<Record<string, unknown>>;
}

export interface Demo {
  /** When the controller may die, in the life of a call; the first is the default. */
  readonly moments: readonly string[];
  run(request: DemoRequest): Promise<DemoOutcome>;
}
