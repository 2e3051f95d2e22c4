import { Assembler, type AssemblerParts, type Cluster, type ControllerAddress } from '../../src/internal.ts';

/** An assembler for tests that look at paths and at texts made of them: nothing is encoded. */
export const assemblerOf = <M>(
  cluster: Pick<Cluster, 'backups' | 'backupFor'>,
  isDead?: (member: ControllerAddress) => boolean,
): Assembler<M> =>
  new Assembler<M>({
    adapter: unused,
    cluster,
    addressOf: ({ transport, local }) => ({ transport, ...local }),
    ...(isDead === undefined ? {} : { isDead }),
  });

const never = (): never => {
  throw new Error('nothing is encoded here');
};

const unused: AssemblerParts<never>['adapter'] = { encode: never, probe: never };
