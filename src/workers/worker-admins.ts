/** The admin servers of the workers, each bound on the loopback address: they are asked for what the one in front of them shows. */
import { askAdmin, askAdminText } from '../admin-client.ts';
import { AltpathError } from '../errors.ts';
import type { SocketAddress } from '../signaling/controller-address.ts';
import type { Supervisor } from './supervisor.ts';

export type Row = Readonly<Record<string, unknown>>;

export const isRow = (value: unknown): value is Row =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What one worker says. */
export interface Said {
  readonly worker: number;
  readonly row: Row;
}

export interface ServingWorker {
  readonly index: number;
  /** Unlike for any two. */
  readonly life: string;
  readonly admin: SocketAddress;
}

export interface WorkerAdminsParts {
  readonly supervisor: Pick<Supervisor, 'workers' | 'lead'>;
  readonly token: string | undefined;
}

type Method = 'GET' | 'POST' | 'DELETE';

export class WorkerAdmins {
  readonly #parts: WorkerAdminsParts;

  constructor(parts: WorkerAdminsParts) {
    this.#parts = parts;
  }

  get token(): string | undefined {
    return this.#parts.token;
  }

  get lead(): number {
    return this.#parts.supervisor.lead;
  }

  /** Those that can be asked. */
  serving(): readonly ServingWorker[] {
    return this.#parts.supervisor
      .workers()
      .flatMap(({ index, starts, admin }) =>
        admin === undefined ? [] : [{ index, life: `${index}/${starts}`, admin }],
      );
  }

  /** What each that answers says. @throws AltpathError (rejects) with what all say that is wrong with the question. */
  async all(path: string, method: Method = 'GET'): Promise<readonly Said[]> {
    const { token } = this.#parts;
    const answers = await Promise.allSettled(
      this.serving().map(async ({ index, admin }): Promise<Said> => {
        const answer = await askAdmin(admin, path, { token, method, limitMs });
        return { worker: index, row: isRow(answer) ? answer : {} };
      }),
    );
    const good = answers.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    const [failed] = answers.flatMap((each): readonly unknown[] => (each.status === 'rejected' ? [each.reason] : []));
    if (good.length === 0 && failed !== undefined) throw asOurs(failed);
    return good;
  }

  /** What the one says that does what one does for all. @throws AltpathError (rejects). */
  async ofLead(path: string): Promise<unknown> {
    const serving = this.serving();
    const worker = serving.find(({ index }) => index === this.lead) ?? serving[0];
    if (worker === undefined) throw new AltpathError('ERR_ADMIN', 'no worker serves now');
    try {
      return await askAdmin(worker.admin, path, { token: this.#parts.token, limitMs });
    } catch (error) {
      throw asOurs(error);
    }
  }

  /** Undefined: it does not answer. */
  async text({ admin }: ServingWorker, path: string): Promise<string | undefined> {
    return askAdminText(admin, path, { token: this.#parts.token, limitMs }).catch(() => undefined);
  }
}

/** Without the address of the worker, which is nobody's business. */
const asOurs = (error: unknown): unknown =>
  error instanceof AltpathError ? new AltpathError(error.code, error.message.replace(/^\S+ says: /, '')) : error;

/** One that is stuck must not keep the answers of the others. */
const limitMs = 2_000;
