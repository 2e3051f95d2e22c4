/** What the supervisor and its workers tell each other over the channel that Node makes between parent and child. */
import { z } from 'zod';

const address = z.object({ index: z.number(), life: z.string(), path: z.string() });

export const toWorker = z.discriminatedUnion('kind', [
  /** The first message. */
  z.object({
    kind: z.literal('start'),
    index: z.number(),
    count: z.number(),
    /** For the sockets between workers. */
    directory: z.string(),
    /** Where the configuration has none. */
    secret: z.string(),
    /** Life of the supervisor and number of the start. */
    life: z.string(),
  }),
  /** Who is there, and which of them does what one does for all; has another life of a worker done that before? */
  z.object({ kind: z.literal('roster'), workers: z.array(address), lead: z.number(), isSuccession: z.boolean() }),
  z.object({ kind: z.literal('ping') }),
]);

export type ToWorker = z.output<typeof toWorker>;

export const toSupervisor = z.discriminatedUnion('kind', [
  /** Siblings can connect. */
  z.object({ kind: z.literal('linked'), path: z.string() }),
  /** It serves. */
  z.object({
    kind: z.literal('ready'),
    admin: z.object({ host: z.string(), port: z.number() }).optional(),
  }),
  /** It cannot start: the sentence for the operator. */
  z.object({ kind: z.literal('failed'), code: z.string(), message: z.string() }),
  z.object({ kind: z.literal('pong') }),
]);

export type ToSupervisor = z.output<typeof toSupervisor>;
