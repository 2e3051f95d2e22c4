/**
 * The four transaction machines of RFC 3261 §17 as tables, with the accepted state of RFC 6026. Each row is (state, event) → next
 * state and effects, in order; an event that changes nothing has a row without effects.
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

const ended: Readonly<Record<ClientEvent, Row<ClientState>>> = {
  provisional: row('terminated'),
  success: row('terminated'),
  failure: row('terminated'),
  retransmit: row('terminated'),
  timeout: row('terminated'),
  absorbEnd: row('terminated'),
  transportError: row('terminated'),
};

/** RFC 3261 §17.1.1.2, figure 5, as corrected by RFC 6026 §7.2. `trying` is not a state of it. */
export const inviteClient: Machine<ClientState, ClientEvent> = {
  calling: {
    provisional: row('proceeding', 'disarmRetransmit', 'disarmTimeout', 'deliver'),
    success: row('accepted', 'disarmRetransmit', 'disarmTimeout', 'absorbAccepted', 'deliver'),
    // First on to whom it concerns, then the acknowledgement: whoever dies in between leaves the callee repeating, not silent.
    failure: row('completed', 'disarmRetransmit', 'disarmTimeout', 'absorb', 'deliver', 'acknowledge'),
    retransmit: row('calling', 'repeat', 'armRetransmit'),
    timeout: row('terminated', 'disarmRetransmit', 'reportTimeout'),
    absorbEnd: row('calling'),
    transportError: row('terminated', 'disarmRetransmit', 'disarmTimeout', 'reportTransportError'),
  },
  trying: ended,
  proceeding: {
    provisional: row('proceeding', 'deliver'),
    success: row('accepted', 'disarmRetransmit', 'disarmTimeout', 'absorbAccepted', 'deliver'),
    failure: row('completed', 'disarmRetransmit', 'disarmTimeout', 'absorb', 'deliver', 'acknowledge'),
    // A request that moved to another hop after a provisional is repeated there until that hop answers.
    retransmit: row('proceeding', 'repeat', 'armRetransmit'),
    timeout: row('terminated', 'disarmRetransmit', 'reportTimeout'),
    absorbEnd: row('proceeding'),
    transportError: row('terminated', 'disarmRetransmit', 'disarmTimeout', 'reportTransportError'),
  },
  accepted: {
    provisional: row('accepted'),
    success: row('accepted', 'deliver'),
    failure: row('accepted'),
    retransmit: row('accepted'),
    timeout: row('accepted'),
    absorbEnd: row('terminated'),
    transportError: row('accepted'),
  },
  completed: {
    provisional: row('completed'),
    success: row('completed'),
    failure: row('completed', 'acknowledge'),
    retransmit: row('completed'),
    timeout: row('completed'),
    absorbEnd: row('terminated'),
    transportError: row('completed'),
  },
  terminated: ended,
};

/** RFC 3261 §17.1.2.2, figure 6. `calling` and `accepted` are not states of it. */
export const nonInviteClient: Machine<ClientState, ClientEvent> = {
  calling: ended,
  trying: {
    provisional: row('proceeding', 'deliver'),
    success: row('completed', 'disarmRetransmit', 'disarmTimeout', 'absorb', 'deliver'),
    failure: row('completed', 'disarmRetransmit', 'disarmTimeout', 'absorb', 'deliver'),
    retransmit: row('trying', 'repeat', 'armRetransmit'),
    timeout: row('terminated', 'disarmRetransmit', 'reportTimeout'),
    absorbEnd: row('trying'),
    transportError: row('terminated', 'disarmRetransmit', 'disarmTimeout', 'reportTransportError'),
  },
  proceeding: {
    provisional: row('proceeding', 'deliver'),
    success: row('completed', 'disarmRetransmit', 'disarmTimeout', 'absorb', 'deliver'),
    failure: row('completed', 'disarmRetransmit', 'disarmTimeout', 'absorb', 'deliver'),
    retransmit: row('proceeding', 'repeat', 'armRetransmit'),
    timeout: row('terminated', 'disarmRetransmit', 'reportTimeout'),
    absorbEnd: row('proceeding'),
    transportError: row('terminated', 'disarmRetransmit', 'disarmTimeout', 'reportTransportError'),
  },
  accepted: ended,
  completed: {
    provisional: row('completed'),
    success: row('completed'),
    failure: row('completed'),
    retransmit: row('completed'),
    timeout: row('completed'),
    absorbEnd: row('terminated'),
    transportError: row('completed'),
  },
  terminated: ended,
};

const over: Readonly<Record<ServerEvent, Row<ServerState>>> = {
  request: row('terminated'),
  ack: row('terminated'),
  sendProvisional: row('terminated'),
  sendSuccess: row('terminated'),
  sendFailure: row('terminated'),
  retransmit: row('terminated'),
  timeout: row('terminated'),
  absorbEnd: row('terminated'),
};

/** RFC 3261 §17.2.1, figure 7, as corrected by RFC 6026 §7.1. `trying` is not a state of it. */
export const inviteServer: Machine<ServerState, ServerEvent> = {
  trying: over,
  proceeding: {
    request: row('proceeding', 'repeat'),
    ack: row('proceeding'),
    sendProvisional: row('proceeding', 'deliver'),
    sendSuccess: row('accepted', 'deliver', 'absorbAccepted'),
    sendFailure: row('completed', 'deliver', 'armRetransmit', 'armTimeout'),
    retransmit: row('proceeding'),
    timeout: row('proceeding'),
    absorbEnd: row('proceeding'),
  },
  accepted: {
    // The 2xx is repeated by whoever made it, end to end.
    request: row('accepted'),
    ack: row('accepted'),
    sendProvisional: row('accepted'),
    sendSuccess: row('accepted', 'deliver'),
    sendFailure: row('accepted'),
    retransmit: row('accepted'),
    timeout: row('accepted'),
    absorbEnd: row('terminated'),
  },
  completed: {
    request: row('completed', 'repeat'),
    ack: row('confirmed', 'disarmRetransmit', 'disarmTimeout', 'absorb'),
    sendProvisional: row('completed'),
    sendSuccess: row('completed'),
    sendFailure: row('completed'),
    retransmit: row('completed', 'repeat', 'armRetransmit'),
    timeout: row('terminated', 'disarmRetransmit', 'reportTimeout'),
    absorbEnd: row('completed'),
  },
  confirmed: {
    // Acknowledged by a hop that may have died right after: whoever takes its place asks again and needs the answer.
    request: row('confirmed', 'repeat'),
    ack: row('confirmed'),
    sendProvisional: row('confirmed'),
    sendSuccess: row('confirmed'),
    sendFailure: row('confirmed'),
    retransmit: row('confirmed'),
    timeout: row('confirmed'),
    absorbEnd: row('terminated'),
  },
  terminated: over,
};

/** RFC 3261 §17.2.2, figure 8. `accepted` and `confirmed` are not states of it. */
export const nonInviteServer: Machine<ServerState, ServerEvent> = {
  trying: {
    request: row('trying'),
    ack: row('trying'),
    sendProvisional: row('proceeding', 'deliver'),
    sendSuccess: row('completed', 'deliver', 'absorb'),
    sendFailure: row('completed', 'deliver', 'absorb'),
    retransmit: row('trying'),
    timeout: row('trying'),
    absorbEnd: row('trying'),
  },
  proceeding: {
    request: row('proceeding', 'repeat'),
    ack: row('proceeding'),
    sendProvisional: row('proceeding', 'deliver'),
    sendSuccess: row('completed', 'deliver', 'absorb'),
    sendFailure: row('completed', 'deliver', 'absorb'),
    retransmit: row('proceeding'),
    timeout: row('proceeding'),
    absorbEnd: row('proceeding'),
  },
  accepted: over,
  completed: {
    request: row('completed', 'repeat'),
    ack: row('completed'),
    sendProvisional: row('completed'),
    sendSuccess: row('completed'),
    sendFailure: row('completed'),
    retransmit: row('completed'),
    timeout: row('completed'),
    absorbEnd: row('terminated'),
  },
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
