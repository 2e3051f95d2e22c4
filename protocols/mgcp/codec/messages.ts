/** MGCP messages as values (RFC 3435 §3.2, §3.3). Parameter values stay text until somebody reads them: values/ knows how. */

export const verbs = ['EPCF', 'CRCX', 'MDCX', 'DLCX', 'RQNT', 'NTFY', 'AUEP', 'AUCX', 'RSIP', 'MESG'] as const;

export interface Parameter {
  /** Upper case where RFC 3435 §3.2.2 defines the code; an extension's name is as it was written. */
  readonly code: string;
  readonly value: string;
}

export interface MgcpCommand {
  readonly kind: 'command';
  /** Upper case. */
  readonly verb: string;
  readonly transactionId: number;
  /** `local@domain` as it was written. */
  readonly endpoint: string;
  /** `1.0`, and a profile name if there is one. */
  readonly version: string;
  readonly parameters: readonly Parameter[];
  /** Session descriptions, each in lines that end in CRLF. */
  readonly sdp: readonly string[];
  /** Its receiver does not bear the path attribute. */
  readonly pathless?: boolean | undefined;
}

export interface MgcpResponse {
  readonly kind: 'response';
  readonly code: number;
  readonly transactionId: number;
  /** Where the code is 8xx: the package that defines it. */
  readonly packageName?: string | undefined;
  readonly comment: string;
  readonly parameters: readonly Parameter[];
  readonly sdp: readonly string[];
}

/** A command or response that cannot be read, between others that can (RFC 3435 §3.5.5). */
export interface BrokenMessage {
  readonly kind: 'broken';
  readonly reason: string;
  readonly offset: number;
  /** The return code for the sender (RFC 3435 §2.4); undefined where no answer is owed. */
  readonly code: number | undefined;
  /** 0 where none could be read: what cannot be named cannot be answered. */
  readonly transactionId: number;
  /** The return code that the sender gave, where it is a response whose first line could be read. */
  readonly response?: number | undefined;
}

export type MgcpMessage = MgcpCommand | MgcpResponse | BrokenMessage;

/** What one datagram carries: one message, or several piggy-backed (RFC 3435 §3.5.5). */
export interface MgcpDatagram {
  readonly messages: readonly MgcpMessage[];
}

/** The value of a parameter; codes are compared without regard to case. */
export function parameter(message: { readonly parameters: readonly Parameter[] }, code: string): string | undefined {
  for (const each of message.parameters) if (each.code === code) return each.value;
  const upper = code.toUpperCase();
  for (const each of message.parameters) {
    if (each.code.length === code.length && each.code.toUpperCase() === upper) return each.value;
  }
  return undefined;
}

/** Every value of a parameter that may come more than once (Z, A, I in audits). */
export const parameterValues = (
  message: { readonly parameters: readonly Parameter[] },
  code: string,
): readonly string[] => message.parameters.filter((each) => each.code.toUpperCase() === code).map(({ value }) => value);

export const isProvisional = (code: number): boolean => code >= 100 && code < 200;

export const isSuccess = (code: number): boolean => code >= 200 && code < 300;

/** A response of ours. */
export const respond = (
  transactionId: number,
  code: number,
  comment: string,
  parameters: readonly Parameter[] = [],
  sdp: readonly string[] = [],
): MgcpResponse => ({ kind: 'response', code, transactionId, comment, parameters, sdp });

/** Answers a command, once. */
export type Reply = (code: number, comment: string, parameters?: readonly Parameter[]) => void;
