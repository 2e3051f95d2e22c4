/** DNS as a port: what the protocols' name procedures ask. Answers carry their TTL; a cache and node:dns stand behind it. */

export interface NaptrRecord {
  readonly order: number;
  readonly preference: number;
  readonly flags: string;
  readonly service: string;
  readonly regexp: string;
  readonly replacement: string;
}

export interface SrvRecord {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly target: string;
}

/** An empty list: the name or the type does not exist (may be kept for ttlMs). */
export interface DnsAnswer<T> {
  readonly records: readonly T[];
  readonly ttlMs: number;
}

export interface DnsClient {
  /** Each rejects only on a temporary failure (no server answers, SERVFAIL). */
  naptr(name: string): Promise<DnsAnswer<NaptrRecord>>;
  srv(name: string): Promise<DnsAnswer<SrvRecord>>;
  a(name: string): Promise<DnsAnswer<string>>;
  aaaa(name: string): Promise<DnsAnswer<string>>;
}
