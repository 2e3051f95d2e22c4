import { describe, expect, it } from 'vitest';
import { Assembler, type ControllerAddress, type Transport } from '../../src/internal.ts';

const at = (transport: Transport, host: string): ControllerAddress => ({ transport, host, port: 5060 });

const assembler = (backups: readonly ControllerAddress[]) => new Assembler({ secret: 's', backups, backupFor: [] });

describe('Assembler: the path attribute of what leaves from a socket', () => {
  it('names the backups in order, and always by the same object', () => {
    const self = at('udp', '127.0.0.1');
    const subject = assembler([at('udp', '127.0.0.2'), at('udp', '127.0.0.3')]);
    const path = subject.pathFrom(self);
    expect(path?.alternates.map(({ host }) => host)).toEqual(['127.0.0.2', '127.0.0.3']);
    expect(subject.pathFrom({ ...self })).toBe(path);
  });

  it('names none where there are none', () => {
    expect(assembler([]).pathFrom(at('udp', '127.0.0.1'))).toBeUndefined();
  });

  it('prefers backups of the socket’s own transport', () => {
    const subject = assembler([at('udp', '127.0.0.2'), at('tcp', '127.0.0.2')]);
    expect(subject.pathFrom(at('tcp', '127.0.0.1'))?.alternates).toEqual([at('tcp', '127.0.0.2')]);
  });

  it('takes another plain transport where its own has no backup', () => {
    expect(assembler([at('udp', '127.0.0.2')]).pathFrom(at('tcp', '127.0.0.1'))?.alternates).toEqual([
      at('udp', '127.0.0.2'),
    ]);
  });

  it('never leads from a secure transport to a plain one', () => {
    const subject = assembler([at('udp', '127.0.0.2'), at('tcp', '127.0.0.2')]);
    expect(subject.pathFrom(at('tls', '127.0.0.1'))).toBeUndefined();
    expect(assembler([at('wss', '127.0.0.2')]).pathFrom(at('tls', '127.0.0.1'))?.alternates).toHaveLength(1);
  });

  it('a stand-in names its own backups, then the member it stands in for, the dead last and itself never', () => {
    const [one, two, three, four] = [1, 2, 3, 4].map((number) => at('udp', `127.0.0.${number}`));
    if (one === undefined || two === undefined || three === undefined || four === undefined) throw new Error('none');
    const hosts = (isDead?: (member: ControllerAddress) => boolean) =>
      assembler([three, two, four])
        .takeoverPath(two, one, isDead)
        ?.alternates.map(({ host }) => host);
    expect(hosts()).toEqual(['127.0.0.3', '127.0.0.4', '127.0.0.1']);
    expect(hosts((member) => member === three)).toEqual(['127.0.0.4', '127.0.0.1', '127.0.0.3']);
    expect(hosts((member) => member === one || member === three)).toEqual(['127.0.0.4', '127.0.0.3', '127.0.0.1']);
    // Nobody else is left: it may come back.
    expect(assembler([]).takeoverPath(two, one, () => true)?.alternates).toEqual([one]);
  });
});
