/** The four transaction machines, cell by cell, against RFC 3261 §17 figures 5 to 8 as corrected by RFC 6026. */
import { describe, expect, it } from 'vitest';
import {
  type ClientEvent,
  type ClientState,
  clientRow,
  inviteClient,
  inviteServer,
  nonInviteClient,
  nonInviteServer,
  type Row,
  type ServerEvent,
  type ServerState,
  serverRow,
} from '../../../protocols/sip/transactions/machines.ts';

/** `next: effect effect`; cells that are not written here stay in their state and do nothing. */
type Cells<S extends string, E extends string> = Readonly<Partial<Record<S, Readonly<Partial<Record<E, string>>>>>>;

/** Where we differ from the figure, what the figure says and why we differ. */
type Differences = Readonly<Record<string, { readonly figure: string; readonly ours: string; readonly why: string }>>;

const clientStates: readonly ClientState[] = ['calling', 'trying', 'proceeding', 'accepted', 'completed', 'terminated'];
const clientEvents: readonly ClientEvent[] = [
  'provisional',
  'success',
  'failure',
  'retransmit',
  'timeout',
  'absorbEnd',
  'transportError',
];
const serverStates: readonly ServerState[] = [
  'trying',
  'proceeding',
  'accepted',
  'completed',
  'confirmed',
  'terminated',
];
const serverEvents: readonly ServerEvent[] = [
  'request',
  'ack',
  'sendProvisional',
  'sendSuccess',
  'sendFailure',
  'retransmit',
  'timeout',
  'absorbEnd',
];

const stopTimers = 'disarmRetransmit disarmTimeout';

describe('RFC 3261 §17.1.1.2 figure 5, RFC 6026 §8.4: the INVITE client', () => {
  examineClient(
    inviteClient,
    {
      calling: {
        provisional: `proceeding: ${stopTimers} deliver`,
        success: `accepted: ${stopTimers} absorbAccepted deliver`,
        failure: `completed: ${stopTimers} absorb deliver acknowledge`,
        retransmit: 'calling: repeat armRetransmit',
        timeout: 'terminated: disarmRetransmit reportTimeout',
        transportError: `terminated: ${stopTimers} reportTransportError`,
      },
      proceeding: {
        provisional: 'proceeding: deliver',
        success: `accepted: ${stopTimers} absorbAccepted deliver`,
        failure: `completed: ${stopTimers} absorb deliver acknowledge`,
      },
      accepted: { success: 'accepted: deliver', absorbEnd: 'terminated:' },
      completed: {
        failure: 'completed: acknowledge',
        absorbEnd: 'terminated:',
        transportError: 'terminated: reportTransportError',
      },
      terminated: {},
    },
    {
      'proceeding retransmit': {
        figure: 'proceeding:',
        ours: 'proceeding: repeat armRetransmit',
        why: 'a request that moved to another hop is repeated there until that hop answers',
      },
      'proceeding timeout': {
        figure: 'proceeding:',
        ours: 'terminated: disarmRetransmit reportTimeout',
        why: 'the hop it moved to may stay silent, and then nothing else would end the wait',
      },
      'proceeding transportError': {
        figure: 'proceeding:',
        ours: `terminated: ${stopTimers} reportTransportError`,
        why: 'a moved request is sent again in this state; RFC 3261 §17.1.4 applies to every sending of it',
      },
      'completed transportError': {
        figure: 'terminated: reportTransportError',
        ours: 'completed:',
        why: 'the final response is delivered; the next repetition of it has the ACK sent again',
      },
    },
  );
});

describe('RFC 3261 §17.1.2.2 figure 6: the non-INVITE client', () => {
  const waiting = (state: 'trying' | 'proceeding') => ({
    provisional: 'proceeding: deliver',
    success: `completed: ${stopTimers} absorb deliver`,
    failure: `completed: ${stopTimers} absorb deliver`,
    retransmit: `${state}: repeat armRetransmit`,
    timeout: 'terminated: disarmRetransmit reportTimeout',
    transportError: `terminated: ${stopTimers} reportTransportError`,
  });
  examineClient(
    nonInviteClient,
    {
      trying: waiting('trying'),
      proceeding: waiting('proceeding'),
      completed: { absorbEnd: 'terminated:' },
      terminated: {},
    },
    {},
  );
});

describe('RFC 3261 §17.2.1 figure 7, RFC 6026 §8.6: the INVITE server', () => {
  examineServer(
    inviteServer,
    {
      proceeding: {
        request: 'proceeding: repeat',
        sendProvisional: 'proceeding: deliver',
        sendSuccess: 'accepted: deliver absorbAccepted',
        sendFailure: 'completed: deliver armRetransmit armTimeout',
      },
      accepted: { ack: 'accepted: deliver', sendSuccess: 'accepted: deliver', absorbEnd: 'terminated:' },
      completed: {
        request: 'completed: repeat',
        ack: `confirmed: ${stopTimers} absorb`,
        retransmit: 'completed: repeat armRetransmit',
        timeout: 'terminated: disarmRetransmit reportTimeout',
      },
      confirmed: { absorbEnd: 'terminated:' },
      terminated: {},
    },
    {
      'accepted ack': {
        figure: 'accepted: deliver',
        ours: 'accepted:',
        why: 'the ACK of a 2xx is handed to the proxy before any transaction is asked',
      },
      'confirmed request': {
        figure: 'confirmed:',
        ours: 'confirmed: repeat',
        why: 'the hop that acknowledged may have died right after; whoever takes its place needs the answer',
      },
    },
  );
});

describe('RFC 3261 §17.2.2 figure 8: the non-INVITE server', () => {
  examineServer(
    nonInviteServer,
    {
      trying: {
        sendProvisional: 'proceeding: deliver',
        sendSuccess: 'completed: deliver absorb',
        sendFailure: 'completed: deliver absorb',
      },
      proceeding: {
        request: 'proceeding: repeat',
        sendProvisional: 'proceeding: deliver',
        sendSuccess: 'completed: deliver absorb',
        sendFailure: 'completed: deliver absorb',
      },
      completed: { request: 'completed: repeat', absorbEnd: 'terminated:' },
      terminated: {},
    },
    {},
  );
});

function examineClient(
  machine: Parameters<typeof clientRow>[0],
  figure: Cells<ClientState, ClientEvent>,
  differences: Differences,
): void {
  examine(clientStates, clientEvents, (state, event) => clientRow(machine, state, event), figure, differences);
  it('is read through clientRow as it is written', () => {
    for (const state of clientStates)
      for (const event of clientEvents) expect(clientRow(machine, state, event)).toBe(machine[state][event]);
  });
}

function examineServer(
  machine: Parameters<typeof serverRow>[0],
  figure: Cells<ServerState, ServerEvent>,
  differences: Differences,
): void {
  examine(serverStates, serverEvents, (state, event) => serverRow(machine, state, event), figure, differences);
  it('is read through serverRow as it is written', () => {
    for (const state of serverStates)
      for (const event of serverEvents) expect(serverRow(machine, state, event)).toBe(machine[state][event]);
  });
}

function examine<S extends string, E extends string>(
  states: readonly S[],
  events: readonly E[],
  rowOf: (state: S, event: E) => Row<S>,
  figure: Cells<S, E>,
  differences: Differences,
): void {
  for (const state of states) {
    const cells = figure[state];
    for (const event of events) {
      // A state that the figure does not have must lead nowhere.
      const drawn = cells === undefined ? 'terminated:' : (cells[event] ?? `${state}:`);
      const difference = differences[`${state} ${event}`];
      const claim = difference === undefined ? drawn : `${difference.ours} (${difference.why})`;
      it(`${state} × ${event} → ${claim}`, () => {
        if (difference !== undefined) expect(difference.figure).toBe(drawn);
        const { next, effects } = rowOf(state, event);
        expect([`${next}:`, ...effects].join(' ')).toBe(difference?.ours ?? drawn);
      });
    }
  }
}
