/**
 * The four transaction machines of RFC 3261 §17 as tables, with the accepted state of RFC 6026. Each row is (state, event) → next
 * state and effects, in order; an event that is not named for a state changes nothing there.
 *
 *     INVITE client:  calling ─1xx► proceeding ─2xx► accepted ─timeout► terminated
 *                        └───────── 3xx-6xx ► completed ─────┘
 *     INVITE server:  proceeding ─2xx► accepted ─┐
 *                        └─3xx-6xx► completed ─ACK► confirmed ─► terminated
 */

export type Effect =
  /** Hand what came to the transaction user. */
  | 'deliver'
  /** Send again: the request, or the last response. */
  | 'repeat'
  /** Arm the next wait of the retransmission schedule (Timers A, E, G); on reliable transports nothing. */
  | 'armRetransmit'
  | 'disarmRetransmit'
  /** 64*T1 until the transaction user hears of a timeout (Timers B, F, H). */
  | 'disarmTimeout'
  | 'armTimeout'
  /** Absorb retransmissions: Timers D, I, J, K. On reliable transports the machine ends at once. */
  | 'absorb'
  /** Absorb them for 64*T1 whatever the transport: Timers L and M (RFC 6026). */
  | 'absorbAccepted'
  /** Acknowledge a non-2xx (RFC 3261 §17.1.1.3). */
  | 'acknowledge'
  | 'reportTimeout'
  | 'reportTransportError';

export interface Row<S extends string> {
  readonly next: S;
  readonly effects: readonly Effect[];
}

export type Machine<S extends string, E extends string> = Readonly<Record<S, Readonly<Record<E, Row<S>>>>>;

export type ClientState = 'calling' | 'trying' | 'proceeding' | 'accepted' | 'completed' | 'terminated';
export type ClientEvent =
  | 'provisional'
  | 'success'
  | 'failure'
  | 'retransmit'
  | 'timeout'
  | 'absorbEnd'
  | 'transportError';

export type ServerState = 'trying' | 'proceeding' | 'accepted' | 'completed' | 'confirmed' | 'terminated';
export type ServerEvent =
  | 'request'
  | 'ack'
  | 'sendProvisional'
  | 'sendSuccess'
  | 'sendFailure'
  | 'retransmit'
  | 'timeout'
  | 'absorbEnd';

const row = <S extends string>(next: S, ...effects: Effect[]): Row<S> => ({ next, effects });

type ClientRows = Readonly<Record<ClientEvent, Row<ClientState>>>;
type Answers = Pick<ClientRows, 'provisional' | 'success' | 'failure'>;

/** The request waits for its final response: repeated, until Timer B or F, or until no hop is left. */
const waiting = (state: ClientState, { provisional, success, failure }: Answers): ClientRows => ({
  provisional,
  success,
  failure,
  // Also in proceeding: a request that moved to another hop after a provisional is repeated there until that hop answers.
  retransmit: row(state, 'repeat', 'armRetransmit'),
  timeout: row('terminated', 'disarmRetransmit', 'reportTimeout'),
  absorbEnd: row(state),
  transportError: row('terminated', 'disarmRetransmit', 'disarmTimeout', 'reportTransportError'),
});

/** It has its final response: what comes now is a repetition, until Timer D, K or M. */
const absorbing = (state: ClientState, { success, failure }: Partial<Answers> = {}): ClientRows => ({
  provisional: row(state),
  success: success ?? row(state),
  failure: failure ?? row(state),
  retransmit: row(state),
  timeout: row(state),
  absorbEnd: row('terminated'),
  transportError: row(state),
});

const ended: ClientRows = absorbing('terminated');

const accepted = row<ClientState>('accepted', 'disarmRetransmit', 'disarmTimeout', 'absorbAccepted', 'deliver');

// First on to whom it concerns, then the acknowledgement: whoever dies in between leaves the callee repeating, not silent.
const refused = row<ClientState>('completed', 'disarmRetransmit', 'disarmTimeout', 'absorb', 'deliver', 'acknowledge');

/** RFC 3261 §17.1.1.2, figure 5, as corrected by RFC 6026 §7.2. `trying` is not a state of it. */
export const inviteClient: Machine<ClientState, ClientEvent> = {
  calling: waiting('calling', {
    provisional: row('proceeding', 'disarmRetransmit', 'disarmTimeout', 'deliver'),
    success: accepted,
    failure: refused,
  }),
  trying: ended,
  proceeding: waiting('proceeding', { provisional: row('proceeding', 'deliver'), success: accepted, failure: refused }),
  accepted: absorbing('accepted', { success: row('accepted', 'deliver') }),
  completed: absorbing('completed', { failure: row('completed', 'acknowledge') }),
  terminated: ended,
};

const answered = row<ClientState>('completed', 'disarmRetransmit', 'disarmTimeout', 'absorb', 'deliver');

const answers: Answers = { provisional: row('proceeding', 'deliver'), success: answered, failure: answered };

/** RFC 3261 §17.1.2.2, figure 6. `calling` and `accepted` are not states of it. */
export const nonInviteClient: Machine<ClientState, ClientEvent> = {
  calling: ended,
  trying: waiting('trying', answers),
  proceeding: waiting('proceeding', answers),
  accepted: ended,
  completed: absorbing('completed'),
  terminated: ended,
};

type ServerRows = Readonly<Record<ServerEvent, Row<ServerState>>>;

/** Rows that are not named change nothing. */
const inState = (state: ServerState, rows: Partial<ServerRows>): ServerRows => ({
  request: rows.request ?? row(state),
  ack: rows.ack ?? row(state),
  sendProvisional: rows.sendProvisional ?? row(state),
  sendSuccess: rows.sendSuccess ?? row(state),
  sendFailure: rows.sendFailure ?? row(state),
  retransmit: rows.retransmit ?? row(state),
  timeout: rows.timeout ?? row(state),
  absorbEnd: rows.absorbEnd ?? row(state),
});

const over = inState('terminated', {});

/** RFC 3261 §17.2.1, figure 7, as corrected by RFC 6026 §7.1. `trying` is not a state of it. */
export const inviteServer: Machine<ServerState, ServerEvent> = {
  trying: over,
  proceeding: inState('proceeding', {
    request: row('proceeding', 'repeat'),
    sendProvisional: row('proceeding', 'deliver'),
    sendSuccess: row('accepted', 'deliver', 'absorbAccepted'),
    sendFailure: row('completed', 'deliver', 'armRetransmit', 'armTimeout'),
  }),
  // The 2xx is repeated by whoever made it, end to end.
  accepted: inState('accepted', { sendSuccess: row('accepted', 'deliver'), absorbEnd: row('terminated') }),
  completed: inState('completed', {
    request: row('completed', 'repeat'),
    ack: row('confirmed', 'disarmRetransmit', 'disarmTimeout', 'absorb'),
    retransmit: row('completed', 'repeat', 'armRetransmit'),
    timeout: row('terminated', 'disarmRetransmit', 'reportTimeout'),
  }),
  // Acknowledged by a hop that may have died right after: whoever takes its place asks again and needs the answer.
  confirmed: inState('confirmed', { request: row('confirmed', 'repeat'), absorbEnd: row('terminated') }),
  terminated: over,
};

const sends = {
  sendProvisional: row<ServerState>('proceeding', 'deliver'),
  sendSuccess: row<ServerState>('completed', 'deliver', 'absorb'),
  sendFailure: row<ServerState>('completed', 'deliver', 'absorb'),
};

/** RFC 3261 §17.2.2, figure 8. `accepted` and `confirmed` are not states of it. */
export const nonInviteServer: Machine<ServerState, ServerEvent> = {
  trying: inState('trying', sends),
  proceeding: inState('proceeding', { ...sends, request: row('proceeding', 'repeat') }),
  accepted: over,
  completed: inState('completed', { request: row('completed', 'repeat'), absorbEnd: row('terminated') }),
  confirmed: over,
  terminated: over,
};

/** The row of a client machine. Written out: a look-up by a computed name costs ten times a property read, and this runs per event. */
export function clientRow(
  machine: Machine<ClientState, ClientEvent>,
  state: ClientState,
  event: ClientEvent,
): Row<ClientState> {
  const rows = clientRows(machine, state);
  switch (event) {
    case 'provisional':
      return rows.provisional;
    case 'success':
      return rows.success;
    case 'failure':
      return rows.failure;
    case 'retransmit':
      return rows.retransmit;
    case 'timeout':
      return rows.timeout;
    case 'absorbEnd':
      return rows.absorbEnd;
    case 'transportError':
      return rows.transportError;
  }
}

function clientRows(
  machine: Machine<ClientState, ClientEvent>,
  state: ClientState,
): Readonly<Record<ClientEvent, Row<ClientState>>> {
  switch (state) {
    case 'calling':
      return machine.calling;
    case 'trying':
      return machine.trying;
    case 'proceeding':
      return machine.proceeding;
    case 'accepted':
      return machine.accepted;
    case 'completed':
      return machine.completed;
    case 'terminated':
      return machine.terminated;
  }
}

/** As clientRow, of a server machine. */
export function serverRow(
  machine: Machine<ServerState, ServerEvent>,
  state: ServerState,
  event: ServerEvent,
): Row<ServerState> {
  const rows = serverRows(machine, state);
  switch (event) {
    case 'request':
      return rows.request;
    case 'ack':
      return rows.ack;
    case 'sendProvisional':
      return rows.sendProvisional;
    case 'sendSuccess':
      return rows.sendSuccess;
    case 'sendFailure':
      return rows.sendFailure;
    case 'retransmit':
      return rows.retransmit;
    case 'timeout':
      return rows.timeout;
    case 'absorbEnd':
      return rows.absorbEnd;
  }
}

function serverRows(
  machine: Machine<ServerState, ServerEvent>,
  state: ServerState,
): Readonly<Record<ServerEvent, Row<ServerState>>> {
  switch (state) {
    case 'trying':
      return machine.trying;
    case 'proceeding':
      return machine.proceeding;
    case 'accepted':
      return machine.accepted;
    case 'completed':
      return machine.completed;
    case 'confirmed':
      return machine.confirmed;
    case 'terminated':
      return machine.terminated;
  }
}
