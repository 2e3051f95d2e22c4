import { describe, expect, it } from 'vitest';
import type { ControllerAddress, Transport } from '../../src/internal.ts';
import { assemblerOf } from '../support/assembler.ts';

const at = (transport: Transport, host: string): ControllerAddress => ({ transport, host, port: 5060 });

const assembler = (backups: readonly ControllerAddress[], isDead?: (member: ControllerAddress) => boolean) =>
  assemblerOf({ backups, backupFor: [] }, isDead);

describe('Assembler: the path attribute of what leaves from a socket', () => {
  it('names the backups in order, and always by the same object', () => {
    const self = at('udp', '127.0.0.1');
    const subject = assembler([at('udp', '127.0.0.2'), at('udp', '127.0.0.3')]);
    const path = subject.path(self);
    expect(path?.alternates.map(({ host }) => host)).toEqual(['127.0.0.2', '127.0.0.3']);
    expect(subject.path({ ...self })).toBe(path);
  });

  it('names none where there are none', () => {
    expect(assembler([]).path(at('udp', '127.0.0.1'))).toBeUndefined();
  });

  it('prefers backups of the socket’s own transport', () => {
    const subject = assembler([at('udp', '127.0.0.2'), at('tcp', '127.0.0.2')]);
    expect(subject.path(at('tcp', '127.0.0.1'))?.alternates).toEqual([at('tcp', '127.0.0.2')]);
  });

  it('takes another plain transport where its own has no backup', () => {
    expect(assembler([at('udp', '127.0.0.2')]).path(at('tcp', '127.0.0.1'))?.alternates).toEqual([
      at('udp', '127.0.0.2'),
    ]);
  });

  it('never leads from a secure transport to a plain one', () => {
    const subject = assembler([at('udp', '127.0.0.2'), at('tcp', '127.0.0.2')]);
    expect(subject.path(at('tls', '127.0.0.1'))).toBeUndefined();
    expect(assembler([at('wss', '127.0.0.2')]).path(at('tls', '127.0.0.1'))?.alternates).toHaveLength(1);
  });

  it('a stand-in names its own backups, then the member it stands in for, the dead last and itself never', () => {
    const [one, two, three, four] = [1, 2, 3, 4].map((number) => at('udp', `127.0.0.${number}`));
    if (one === undefined || two === undefined || three === undefined || four === undefined) throw new Error('none');
    const hosts = (isDead?: (member: ControllerAddress) => boolean) =>
      assembler([three, two, four], isDead)
        .path(two, one)
        ?.alternates.map(({ host }) => host);
    expect(hosts()).toEqual(['127.0.0.3', '127.0.0.4', '127.0.0.1']);
    expect(hosts((member) => member === three)).toEqual(['127.0.0.4', '127.0.0.1', '127.0.0.3']);
    expect(hosts((member) => member === one || member === three)).toEqual(['127.0.0.4', '127.0.0.3', '127.0.0.1']);
    // Nobody else is left: it may come back.
    expect(assembler([], () => true).path(two, one)?.alternates).toEqual([one]);
  });

  it('names the dead last in what it sends for itself as well, and again in order once they are back', () => {
    const dead = new Set<string>();
    const subject = assembler(
      [2, 3, 4].map((number) => at('udp', `127.0.0.${number}`)),
      ({ host }) => dead.has(host),
    );
    const hosts = () =>
      subject
        .path(at('udp', '127.0.0.1'))
        ?.alternates.map(({ host }) => host.slice(-1))
        .join('');
    const before = subject.path(at('udp', '127.0.0.1'));
    expect(hosts()).toBe('234');
    dead.add('127.0.0.2');
    expect(hosts()).toBe('342');
    dead.add('127.0.0.4');
    expect(hosts()).toBe('324');
    dead.clear();
    expect(subject.path(at('udp', '127.0.0.1'))).toBe(before);
  });
});
