/** The call flows in which a primary is killed, and what must hold of each when all is over. */
import type { SimPhone } from './sip-ua.ts';
import { domain, hosts, type SipWorld } from './sip-world.ts';

export interface Actors {
  readonly world: SipWorld;
  readonly caller: SimPhone;
  readonly callees: readonly SimPhone[];
}

export interface Flow {
  readonly name: string;
  readonly callees?: number;
  /** Something in it waits for a promise. */
  readonly isAsync?: boolean;
  /** Sets the telephones up and starts it. */
  start(actors: Actors): void;
  /** What the telephones must have been told and asked, in order; sets of alternatives are written `486|480`. */
  readonly caller: readonly string[];
  readonly callee?: readonly string[];
  /** Requests that each callee served, sorted; a repetition would show. */
  readonly served: readonly (readonly string[])[];
  /** How often each callee rings. */
  readonly rings: readonly number[];
}

const bob = `sip:bob@${domain}`;

const soon = 500;

/** Gives up half a second after it rings; or, where that is never heard (the network loses a 180 for good), some seconds later. */
function callAndCancel(world: SipWorld, caller: SimPhone): void {
  const callId = caller.call(
    bob,
    () => undefined,
    ({ status }) => {
      world.clock.after(status === 180 ? soon : 10 * soon, () => caller.cancel(callId));
    },
  );
}

export const flows: readonly Flow[] = [
  {
    name: 'register',
    isAsync: true,
    start: ({ caller, callees: [callee] }) => {
      caller.register();
      callee?.register();
    },
    caller: ['REGISTER 200'],
    callee: ['REGISTER 200'],
    served: [[]],
    rings: [0],
  },
  {
    name: 'call, caller hangs up',
    start: ({ world, caller }) => {
      caller.onConfirmed = (dialog) => world.clock.after(soon, () => caller.bye(dialog));
      caller.call(bob);
    },
    caller: ['INVITE 200', 'BYE 200'],
    served: [['BYE']],
    rings: [1],
  },
  {
    name: 'call, callee hangs up',
    start: ({ world, caller, callees: [callee] }) => {
      if (callee !== undefined) callee.onConfirmed = (dialog) => world.clock.after(soon, () => callee.bye(dialog));
      caller.call(bob);
    },
    caller: ['INVITE 200'],
    callee: ['BYE 200'],
    served: [[]],
    rings: [1],
  },
  {
    name: 'call cancelled while ringing',
    start: ({ world, caller, callees: [callee] }) => {
      if (callee !== undefined) callee.answering = 'ring';
      callAndCancel(world, caller);
    },
    caller: ['CANCEL 200', 'INVITE 487'],
    served: [[]],
    rings: [1],
  },
  {
    name: 'busy',
    start: ({ caller, callees: [callee] }) => {
      if (callee !== undefined) callee.answering = 'busy';
      caller.call(bob);
    },
    caller: ['INVITE 486'],
    served: [[]],
    rings: [1],
  },
  {
    name: 'declined after ringing',
    start: ({ caller, callees: [callee] }) => {
      if (callee !== undefined) callee.answering = 'decline';
      caller.call(bob);
    },
    caller: ['INVITE 603'],
    served: [[]],
    rings: [1],
  },
  {
    name: 'forked call, one answers',
    callees: 2,
    start: ({ world, caller, callees: [, second] }) => {
      if (second !== undefined) second.answering = 'ring';
      caller.onConfirmed = (dialog) => world.clock.after(soon, () => caller.bye(dialog));
      caller.call(bob);
    },
    caller: ['INVITE 200', 'BYE 200'],
    served: [['BYE'], []],
    rings: [1, 1],
  },
  {
    name: 'forked call, one is busy',
    callees: 2,
    start: ({ world, caller, callees: [, second] }) => {
      if (second !== undefined) second.answering = 'busy';
      caller.onConfirmed = (dialog) => world.clock.after(soon, () => caller.bye(dialog));
      caller.call(bob);
    },
    caller: ['INVITE 200', 'BYE 200'],
    served: [['BYE'], []],
    rings: [1, 1],
  },
  {
    name: 'forked call cancelled',
    callees: 2,
    start: ({ world, caller, callees }) => {
      for (const callee of callees) callee.answering = 'ring';
      callAndCancel(world, caller);
    },
    caller: ['CANCEL 200', 'INVITE 487'],
    served: [[], []],
    rings: [1, 1],
  },
  {
    name: 're-INVITE by the caller',
    start: ({ world, caller }) => {
      caller.onConfirmed = (dialog) =>
        world.clock.after(soon, () =>
          caller.inDialog(dialog, 'INVITE', () => world.clock.after(soon, () => caller.bye(dialog))),
        );
      caller.call(bob);
    },
    caller: ['INVITE 200', 'INVITE 200', 'BYE 200'],
    served: [['BYE', 'INVITE']],
    rings: [1],
  },
  {
    name: 're-INVITE by the callee',
    start: ({ world, caller, callees: [callee] }) => {
      if (callee !== undefined)
        callee.onConfirmed = (dialog) =>
          world.clock.after(soon, () =>
            callee.inDialog(dialog, 'INVITE', () => world.clock.after(soon, () => callee.bye(dialog))),
          );
      caller.call(bob);
    },
    caller: ['INVITE 200'],
    callee: ['INVITE 200', 'BYE 200'],
    served: [[]],
    rings: [1],
  },
  {
    name: 'UPDATE',
    start: ({ world, caller }) => {
      caller.onConfirmed = (dialog) =>
        world.clock.after(soon, () =>
          caller.inDialog(dialog, 'UPDATE', () => world.clock.after(soon, () => caller.bye(dialog))),
        );
      caller.call(bob);
    },
    caller: ['INVITE 200', 'UPDATE 200', 'BYE 200'],
    served: [['BYE', 'UPDATE']],
    rings: [1],
  },
  {
    name: 'REFER and NOTIFY',
    start: ({ world, caller, callees: [callee] }) => {
      if (callee !== undefined)
        callee.onRequest = ({ method, callId }) => {
          const dialog = callee.dialog(callId);
          if (method !== 'REFER' || dialog === undefined) return;
          world.clock.after(20, () =>
            callee.inDialog(
              dialog,
              'NOTIFY',
              () => world.clock.after(soon, () => callee.bye(dialog)),
              'Event: refer\r\nSubscription-State: terminated\r\nContent-Type: message/sipfrag\r\n',
              'SIP/2.0 200 OK\r\n',
            ),
          );
        };
      caller.onConfirmed = (dialog) =>
        world.clock.after(soon, () =>
          caller.inDialog(dialog, 'REFER', () => undefined, `Refer-To: <sip:carol@${domain}>\r\n`),
        );
      caller.call(bob);
    },
    caller: ['INVITE 200', 'REFER 202'],
    callee: ['NOTIFY 200', 'BYE 200'],
    served: [['REFER']],
    rings: [1],
  },
  {
    name: 'MESSAGE',
    start: ({ caller }) => caller.message(bob),
    caller: ['MESSAGE 200'],
    served: [['MESSAGE']],
    rings: [0],
  },
];

/** What does not hold, in words; empty where all is well. */
export function complaintsOf(flow: Flow, { caller, callees }: Actors): string[] {
  const complaints: string[] = [];
  const must = (what: string, is: unknown, expected: unknown): void => {
    if (JSON.stringify(is) !== JSON.stringify(expected))
      complaints.push(`${what}: ${JSON.stringify(is)} instead of ${JSON.stringify(expected)}`);
  };
  must('caller was told', [...caller.finals].sort(), [...flow.caller].sort());
  callees.forEach((callee, index) => {
    if (index === 0) must('callee was told', [...callee.finals].sort(), [...(flow.callee ?? [])].sort());
    must(`callee ${index + 1} served`, [...callee.served].sort(), flow.served[index]);
    must(
      `callee ${index + 1} rang`,
      [...callee.rung.values()].reduce((sum, count) => sum + count, 0),
      flow.rings[index],
    );
  });
  for (const phone of [caller, ...callees]) {
    for (const complaint of phone.complaints) complaints.push(`${phone.options.address}: ${complaint}`);
    if (phone.ringing.size > 0) complaints.push(`${phone.options.address} still rings`);
    if (phone.busy > 0) complaints.push(`${phone.options.address} has ${phone.busy} open transactions`);
    for (const { state } of phone.dialogs.values())
      if (state !== 'ended') complaints.push(`${phone.options.address} has a call left ${state}`);
  }
  return complaints;
}

export const everybody = [hosts.callerEdge, hosts.calleeEdge, hosts.primary, hosts.backup] as const;
