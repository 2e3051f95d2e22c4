/** Errors that end a command or keep a role from starting. Each has a stable `code`; a peer's input never causes one. */
export class AltpathError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** The configuration cannot be used; the message has one line per problem: file:line:column, what, hint. */
export class ConfigError extends AltpathError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_CONFIG', message, options);
  }
}

/** An address as text is not one (listen, backup, gateway, trust …). */
export class AddressError extends AltpathError {
  constructor(message: string) {
    super('ERR_ADDRESS', message);
  }
}

/** A socket could not be bound: port in use, no such local address, no permission. */
export class BindError extends AltpathError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_BIND', message, options);
  }
}

/** A file named by a flag or by the configuration cannot be read or written. */
export class FileError extends AltpathError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_FILE', message, options);
  }
}

/** The location service refuses a write: it is closed, or as below. */
export class LocationError extends AltpathError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_LOCATION', message, options);
  }
}

/** It holds as many records or octets as it may: later there may be room. */
export class LocationFullError extends LocationError {}

/** What others have registered meanwhile is later (RFC 3261 §10.3), or leaves no room in the record. */
export class LocationConflictError extends LocationError {
  readonly conflict: 'older' | 'crowded';

  constructor(conflict: 'older' | 'crowded') {
    super(conflict === 'older' ? 'a later registration is stored' : 'the record has as many contacts as it may');
    this.conflict = conflict;
  }
}
