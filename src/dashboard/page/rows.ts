/** What the admin server gives, as far as the page reads it. Every field may be missing: another version may answer. */

export interface CallRow {
  readonly id: string;
  readonly protocol: string;
  readonly callId?: string;
  readonly caller?: string;
  readonly callee?: string;
  readonly state: string;
  readonly begunMs?: number;
  readonly ringingMs?: number;
  readonly answeredMs?: number;
  readonly endedMs?: number;
  readonly talkedMs?: number;
  readonly from?: string;
  readonly to?: string;
  readonly route?: string;
  readonly switches?: readonly CallSwitch[];
  readonly isAdopted?: boolean;
  readonly failed?: boolean;
  readonly reason?: string;
  readonly code?: string;
  readonly cause?: number;
  readonly where?: string;
  readonly detail?: string;
}

export interface CallSwitch {
  readonly atMs: number;
  readonly from: string;
  readonly to: string;
  readonly because: string;
}

export interface List<T> {
  readonly total: number;
  readonly items: readonly T[];
}

export interface CallBoard {
  readonly open: List<CallRow>;
  readonly failed: List<CallRow>;
}

export interface MemberRow {
  readonly protocol: string;
  readonly transport: string;
  readonly host: string;
  readonly port: number;
  readonly kind?: string;
  readonly name?: string;
  readonly state?: string;
  readonly health?: string;
  readonly failure?: string;
  readonly lastHeardMs?: number;
  readonly aliveSinceMs?: number;
  readonly diedMs?: number;
  readonly version?: string;
  readonly serves?: readonly string[];
  readonly provenance?: string;
}

export interface TakeoverRow {
  readonly protocol: string;
  readonly partner: string;
  readonly sinceMs: number;
  readonly messages: number;
  readonly calls: number;
}

export interface ClusterView {
  readonly state: string;
  readonly node?: string;
  readonly version?: string;
  readonly startedMs?: number;
  readonly own?: readonly {
    readonly protocol: string;
    readonly addresses: readonly string[];
    readonly serves?: readonly string[];
  }[];
  readonly members: readonly MemberRow[];
  readonly takeovers: readonly TakeoverRow[];
  readonly names?: Readonly<Record<string, string>>;
  readonly admins?: Readonly<Record<string, string>>;
}

export interface Figures {
  readonly wallMs: number;
  readonly callsOpen: number;
  readonly begunPerSecond: number;
  readonly answeredPerSecond: number;
  readonly failedPerSecond: number;
  readonly messagesPerSecond: number;
  readonly failures: Readonly<Record<string, number>>;
  readonly memoryBytes: number;
  readonly postDialMs?: readonly [number, number];
}

export interface Happening {
  readonly sequence: number;
  readonly wallMs: number;
  readonly lastMs: number;
  readonly what: string;
  readonly protocol?: string;
  readonly address?: string;
  readonly gateway?: string;
  readonly from?: string;
  readonly to?: string;
  readonly because?: string;
  readonly count?: number;
}

export interface TraceRow {
  readonly sequence: number;
  readonly wallMs: number;
  readonly protocol: string;
  readonly transport: string;
  readonly direction: string;
  readonly from: string;
  readonly to: string;
  readonly title: string;
  readonly isRequest: boolean;
  readonly call?: string;
  readonly moved?: { readonly from: string; readonly because: string };
  readonly octets?: string;
}

export interface PeerRow extends MemberRow {
  readonly addresses?: readonly (
    | string
    | { readonly transport?: string; readonly host: string; readonly port: number }
  )[];
}

export interface LineRow {
  readonly protocol: string;
  readonly number: string;
  readonly endpoint: string;
  readonly gateway: string;
  readonly state?: string;
  readonly hook?: string;
  readonly inService: boolean;
  readonly isOurs: boolean;
  readonly isMissing?: boolean;
  readonly isLeaving?: boolean;
}

export interface RegistrationRow {
  readonly record: string;
  readonly protocol: string;
  readonly target: string;
  readonly path?: readonly unknown[];
  readonly expiresMs: number | null;
  readonly updatedMs: number;
  readonly userAgent?: string;
}

export interface Access {
  readonly read: boolean;
  readonly order: boolean;
  readonly token: 'none' | 'missing' | 'right' | 'wrong';
}

/** What a ladder shows: a call, or whatever else messages can be about. */
export interface Subject {
  readonly about: string;
  readonly call: CallRow | undefined;
}
