/** The endpoints of all lines: by line, by name, by gateway. */
import type { Gateway, Line, Lines } from '../../src/internal.ts';
import { covers, readEndpointName } from './codec/values/names.ts';
import { Endpoint } from './endpoint.ts';

export class Endpoints {
  readonly #lines: () => Lines;
  readonly #byLine = new Map<Line, Endpoint>();

  constructor(lines: () => Lines) {
    this.#lines = lines;
  }

  add(line: Line, gateway: Gateway): void {
    this.#byLine.set(line, new Endpoint(line, gateway));
  }

  remove(line: Line): void {
    this.#byLine.delete(line);
  }

  all(): Iterable<Endpoint> {
    return this.#byLine.values();
  }

  of(line: Line): Endpoint | undefined {
    return this.#byLine.get(line);
  }

  byName(name: string): Endpoint | undefined {
    const line = this.#lines().byEndpoint(name);
    return line === undefined ? undefined : this.#byLine.get(line);
  }

  on(gateway: Gateway): readonly Endpoint[] {
    return this.#lines()
      .of(gateway.name)
      .map((line) => this.#byLine.get(line))
      .filter((endpoint) => endpoint !== undefined);
  }

  /** Those whose state we do not know yet. */
  unknownOn(gateway: Gateway): readonly Endpoint[] {
    return this.on(gateway).filter(isUnknown);
  }

  /** Those that a name with wildcards means (RFC 3435 §2.1.2). */
  covered(name: string, gateway: Gateway): readonly Endpoint[] {
    const local = readEndpointName(name)?.local ?? '';
    return this.on(gateway).filter(({ line }) => covers(local, readEndpointName(line.endpoint)?.local ?? ''));
  }

  hasUnknown(): boolean {
    for (const endpoint of this.#byLine.values()) if (isUnknown(endpoint)) return true;
    return false;
  }

  status(): Readonly<Record<string, unknown>> {
    let linesServed = 0;
    let linesUnlisted = 0;
    for (const { owned, isUnlisted } of this.#byLine.values()) {
      if (owned) linesServed += 1;
      if (isUnlisted) linesUnlisted += 1;
    }
    return { linesServed, linesUnlisted };
  }
}

/** Neither ours to command, nor known not to be there. */
export const isUnknown = ({ owned, isUnlisted }: Endpoint): boolean => !owned && !isUnlisted;
