import { describe, expect, it } from 'vitest';
import { alternatesOf, readPathValue } from '../../../protocols/megaco/path.ts';
import type { ControllerAddress } from '../../../src/internal.ts';
import { assemblerOf } from '../../support/assembler.ts';
import { backupHost, primaryHost, World } from './world.ts';

const at = (number: number): ControllerAddress => ({ transport: 'udp', host: `127.0.0.${number}`, port: 2944 });

describe('docs/alternate-path.md §5.3, §5.4: the property and X-AltPth list the alternates alone', () => {
  it('as the comment does, from a primary and from a backup that stands in', async () => {
    const world = await World.up();
    const said = (host: string, from: number) =>
      world.packets.slice(from).flatMap(({ from: source, bytes }) => {
        if (source.host !== host) return [];
        const text = bytes.toString('latin1');
        const value = /(?:alternatepath\/addr|X-AltPth)\s*=\s*"([^"]*)"/i.exec(text)?.[1];
        const comment = /;AlternatePath=([^\r\n]*)/.exec(text)?.[1];
        return value === undefined ? [] : [[value, comment]];
      });
    expect(said(primaryHost, 0)).toContainEqual([`[${backupHost}]:2944`, `[${backupHost}]:2944`]);
    for (const [value, comment] of said(primaryHost, 0)) expect(value).toBe(comment);
    const before = world.packets.length;
    world.kill(primaryHost);
    await world.run(4_000);
    const stoodIn = said(backupHost, before);
    expect(stoodIn.length).toBeGreaterThan(2);
    for (const each of stoodIn) expect(each).toEqual([`[${primaryHost}]:2944`, `[${primaryHost}]:2944`]);
    expect(world.gateways.map(({ alternates }) => alternates)).toEqual([[at(1)], [at(1)]]);
  });

  it.each([
    ['"[127.0.0.2]:2944 [127.0.0.3]:2944"', [2, 3]],
    ['"[127.0.0.1]:2944 [127.0.0.2]:2944"', [2]],
    ['"[127.0.0.1] <x y> [127.0.0.2]"', [2]],
    ['"[127.0.0.1]:2944"', []],
    ['""', []],
    ['nonsense', []],
    ['"[127.0.0.2] [127.0.0.3] [127.0.0.4] [127.0.0.5]"', [2, 3, 4]],
  ])('%s of 127.0.0.1 is read, in the older form as well', (value, expected) => {
    expect(readPathValue(value, at(1), 2944)).toEqual(expected.map(at));
  });
});

describe('docs/alternate-path.md §6.3: whom a backup names that stands in', () => {
  const path = (dead: readonly number[], backups: readonly number[], home: readonly number[]) => {
    const isDead = ({ host }: ControllerAddress) => dead.some((number) => host === at(number).host);
    const assembler = assemblerOf({ backups: backups.map(at), backupFor: home.map(at) }, isDead);
    return alternatesOf(assembler.path(at(2), home.map(at)[0]));
  };
  const named = (...numbers: readonly number[]) => numbers.map((number) => `[127.0.0.${number}]:2944`);

  it.each([
    ['nobody is dead: its own backups, then whom it stands in for', [], [3], [1], [3, 1]],
    ['it has none: whom it stands in for', [], [], [1], [1]],
    ['the primary is dead: it comes after its own backups', [1], [3], [1], [3, 1]],
    ['a backup is dead as well', [1, 3], [3, 4], [1], [4, 3, 1]],
    ['only the dead are left: they may come back', [1], [], [1], [1]],
    ['each is the other’s backup', [1], [1], [1], [1]],
  ] as const)('%s', (_name, dead, backups, backupFor, expected) => {
    expect(path(dead, backups, backupFor)).toEqual(named(...expected));
  });
});
