/** Design §3: an ordered list, one primary, one to three alternates; who is named by whom. */
import { describe, expect, it } from 'vitest';
import { type ControllerAddress, formatPath, pathAddresses, pathAttribute } from '../../src/internal.ts';
import { assemblerOf } from '../support/assembler.ts';

const at = (n: number, transport: 'udp' | 'tcp' | 'tls' = 'udp'): ControllerAddress => ({
  transport,
  host: `127.0.0.${n}`,
  port: 5_060,
});

describe('path attribute', () => {
  it('holds no alternate twice, never the primary, and at most three', () => {
    const path = pathAttribute(at(1), [at(2), at(1), at(2), at(3), at(4), at(5)]);
    expect(path === undefined ? [] : pathAddresses(path)).toEqual([at(1), at(2), at(3), at(4)]);
  });

  it('is none where no alternate remains', () => {
    expect(pathAttribute(at(1), [at(1)])).toBeUndefined();
  });

  it('reads well in a log', () => {
    const path = pathAttribute(at(1), [at(2)]);
    expect(path === undefined ? '' : formatPath(path)).toBe('udp:127.0.0.1:5060 > udp:127.0.0.2:5060');
  });
});

describe('assembler', () => {
  const assembler = assemblerOf({ backups: [at(2), at(2, 'tcp'), at(3)], backupFor: [at(4)] });

  it('names backups by the transport of the socket where there are any, and never a weaker one', () => {
    expect(assembler.path(at(1))?.alternates).toEqual([at(2), at(3)]);
    expect(assembler.path(at(1, 'tcp'))?.alternates).toEqual([at(2, 'tcp')]);
    expect(assembler.path(at(1, 'tls'))).toBeUndefined();
  });

  it('gives the same object for the same socket, so that its text is made once', () => {
    expect(assembler.path(at(1))).toBe(assembler.path(at(1)));
  });

  it('in the place of a primary it names itself, its own backups, then the primary', () => {
    const path = assembler.path(at(1), at(4));
    expect([path?.primary, path?.alternates]).toEqual([at(1), [at(2), at(3), at(4)]]);
  });

  it('stands in for partners, and knows those that stand in for it', () => {
    expect([assembler.partner(at(4)), assembler.partner(at(2))]).toEqual([at(4), undefined]);
    expect([assembler.backup(at(2)), assembler.backup(at(4))]).toEqual([at(2), undefined]);
  });
});
