/** The npm package `sip` 0.0.6 as far as it is documented: the shapes of its messages and its instance. */

/** Names in lower case, quotes kept; null: a flag without a value. No numbers: 0 would be written as a flag. */
export type SipParams = Record<string, string | null | undefined>;

export interface PackageUri {
  schema: string;
  user?: string | undefined;
  host: string;
  port?: number | undefined;
  params: SipParams;
}

export interface PackageAddress {
  name?: string | undefined;
  uri: string | PackageUri;
  params: SipParams;
}

export interface PackageVia {
  version?: string;
  protocol?: string;
  host?: string;
  port?: number;
  params: SipParams;
}

export type AuthParams = Record<string, string | undefined> & { scheme?: string };

export interface PackageHeaders {
  via?: PackageVia[] | undefined;
  to: PackageAddress;
  from: PackageAddress;
  'call-id': string;
  cseq: { seq: number; method: string };
  contact?: PackageAddress[] | '*' | undefined;
  route?: PackageAddress[] | undefined;
  'record-route'?: PackageAddress[] | undefined;
  'www-authenticate'?: AuthParams[] | undefined;
  'proxy-authenticate'?: AuthParams[] | undefined;
  authorization?: AuthParams[] | undefined;
  'proxy-authorization'?: AuthParams[] | undefined;
  [other: string]: unknown;
}

export interface PackageRequest {
  method: string;
  uri: string | PackageUri;
  headers: PackageHeaders;
  content?: string | undefined;
}

export interface PackageResponse {
  status: number;
  reason: string;
  headers: PackageHeaders;
  content?: string | undefined;
}

export interface PackageRemote {
  protocol: string;
  address: string;
  port: number;
}

export interface PackageOptions {
  address?: string;
  port?: number;
  publicAddress?: string;
  udp?: boolean;
  tcp?: boolean;
  logger?: { error?: (error: unknown) => void };
  [other: string]: unknown;
}

export type OnRequest = (request: PackageRequest, remote: PackageRemote) => void;

export interface SipInstance {
  send(message: PackageRequest, onResponse?: (response: PackageResponse) => void): void;
  send(message: PackageResponse): void;
  destroy(): void;
}

/** The package itself, and the shapes of what it gives and takes. */
export interface SipPackage {
  /** One instance for the whole program: `send` and `stop` belong to it. A failure to bind is thrown later, by the socket. */
  start(options: PackageOptions, onRequest: OnRequest): void;
  /** There from `start` on. Responses go to whoever asked; the callback gets every response to a request. */
  send(message: PackageRequest, onResponse?: (response: PackageResponse) => void): void;
  send(message: PackageResponse): void;
  stop(): void;
  /** Undefined: it is no message. */
  parse(text: string | Uint8Array): PackageRequest | PackageResponse | undefined;
  stringify(message: PackageRequest | PackageResponse): string;
  copyMessage<M extends PackageRequest | PackageResponse>(message: M, deep?: boolean): M;
  create(options: PackageOptions, onRequest: OnRequest): SipInstance;
  makeResponse(
    request: PackageRequest,
    status: number,
    reason?: string,
    extension?: { headers?: Record<string, unknown>; content?: string },
  ): PackageResponse;
  parseUri(text: string): PackageUri | undefined;
  stringifyUri(uri: string | PackageUri): string;
}
