/** The provisioned lines: by number, by endpoint, by gateway. Which of them may be called is the location service's word. */
import type { LocationService } from '../location-service.ts';
import { Line, type LineParts, type LineProvision } from './line.ts';

export class Lines {
  readonly #protocol: string;
  readonly #parts: LineParts;
  readonly #locations: LocationService;
  readonly #byEndpoint = new Map<string, Line>();
  readonly #byNumber = new Map<string, Line>();
  readonly #byGateway = new Map<string, Set<Line>>();
  readonly #failed: (error: unknown) => void;
  #version = 0;

  constructor(protocol: string, parts: LineParts, locations: LocationService, storeFailed: (error: unknown) => void) {
    this.#protocol = protocol;
    this.#parts = parts;
    this.#locations = locations;
    this.#failed = storeFailed;
  }

  /** Goes up with every number that comes or goes. */
  get version(): number {
    return this.#version;
  }

  get size(): number {
    return this.#byEndpoint.size;
  }

  /** Adds a line; one with this endpoint or number that exists already is returned instead. */
  add(provision: LineProvision): Line {
    const known = this.#byEndpoint.get(endpointKey(provision.endpoint)) ?? this.#byNumber.get(provision.number);
    if (known !== undefined) return known;
    const line = new Line(provision, this.#parts);
    this.#byEndpoint.set(endpointKey(line.endpoint), line);
    this.#byNumber.set(line.number, line);
    this.#version += 1;
    const siblings = this.#byGateway.get(line.gateway);
    if (siblings === undefined) this.#byGateway.set(line.gateway, new Set([line]));
    else siblings.add(line);
    return line;
  }

  /** Takes a line away; it is the caller's to end its call first. */
  remove(line: Line): void {
    this.setInService(line, false);
    line.stop();
    this.#byEndpoint.delete(endpointKey(line.endpoint));
    this.#byNumber.delete(line.number);
    this.#version += 1;
    this.#byGateway.get(line.gateway)?.delete(line);
  }

  byEndpoint(endpoint: string): Line | undefined {
    return this.#byEndpoint.get(endpointKey(endpoint));
  }

  byNumber(number: string): Line | undefined {
    return this.#byNumber.get(number);
  }

  of(gateway: string): readonly Line[] {
    return [...(this.#byGateway.get(gateway) ?? [])];
  }

  all(): Iterable<Line> {
    return this.#byEndpoint.values();
  }

  numbers(): Iterable<string> {
    return this.#byNumber.keys();
  }

  /** A line that its gateway serves can be found under its number by every protocol; one that is not, cannot. */
  setInService(line: Line, inService: boolean): void {
    if (line.inService === inService) return;
    line.inService = inService;
    line.isLeaving = false;
    this.#announce(line);
  }

  /** A line that leaves is not to be found any more; it still serves who uses it. */
  setLeaving(line: Line, isLeaving: boolean): void {
    if (line.isLeaving === isLeaving) return;
    line.isLeaving = isLeaving;
    this.#announce(line);
  }

  #announce(line: Line): void {
    const contacts =
      line.inService && !line.isLeaving
        ? [
            {
              protocol: this.#protocol,
              target: line.endpoint,
              key: line.endpoint,
              path: [],
              alternates: [],
              expiresMs: Number.POSITIVE_INFINITY,
              q: 1_000,
              updatedMs: this.#parts.clock.now(),
            },
          ]
        : [];
    // Provisioned lines lose nothing by a store that refuses: they come back with their gateway.
    this.#locations.save(line.number, contacts).catch(this.#failed);
  }
}

/** Endpoint names are compared without regard to case. */
const endpointKey = (endpoint: string): string => endpoint.toLowerCase();
