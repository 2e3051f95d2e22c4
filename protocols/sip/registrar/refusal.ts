/** Why a request goes no further, as the response that says so. */
export interface Refusal {
  readonly status: number;
  readonly reason: string;
  /** Further header fields, each ending in CRLF. */
  readonly fields?: string | undefined;
  /** The INVITE may be one that a partner began: it passes if that partner is dead. */
  readonly isCarried?: boolean | undefined;
}

export const refusal = (status: number, reason: string, fields?: string): Refusal => ({ status, reason, fields });
