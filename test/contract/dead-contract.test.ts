/**
 * No function of the core's contracts is dead: each is made to throw in turn, and the checks of whole roles must notice. What they do not
 * notice runs nowhere, and has no place in a contract.
 */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { AddressResolver, Assembler } from '../../src/internal.ts';
import { type ExaminedWorld, examinedRoles } from './examined-roles.ts';
import { roleChecks } from './role.contract.ts';

/** The adapter's function that throws now. */
const broken = vi.hoisted(() => ({ name: '' }));

/** An adapter whose function `broken.name` throws. */
const breakable = vi.hoisted(
  () =>
    <A extends object>(adapter: A): A =>
      new Proxy(adapter, {
        get(target, name, receiver) {
          if (name === broken.name)
            return () => {
              throw new Error(`${String(name)} is broken`);
            };
          return Reflect.get(target, name, receiver);
        },
      }),
);

vi.mock('../../protocols/sip/adapter.ts', async (original) => {
  const module = await original<typeof import('../../protocols/sip/adapter.ts')>();
  return {
    ...module,
    createSipAdapter: (...parts: Parameters<typeof module.createSipAdapter>) =>
      breakable(module.createSipAdapter(...parts)),
  };
});
vi.mock('../../protocols/mgcp/adapter.ts', async (original) => {
  const module = await original<typeof import('../../protocols/mgcp/adapter.ts')>();
  return {
    ...module,
    createMgcpAdapter: (...parts: Parameters<typeof module.createMgcpAdapter>) =>
      breakable(module.createMgcpAdapter(...parts)),
  };
});
vi.mock('../../protocols/megaco/adapter.ts', async (original) => {
  const module = await original<typeof import('../../protocols/megaco/adapter.ts')>();
  return {
    ...module,
    createMegacoAdapter: (...parts: Parameters<typeof module.createMegacoAdapter>) =>
      breakable(module.createMegacoAdapter(...parts)),
  };
});

afterEach(() => {
  broken.name = '';
  vi.restoreAllMocks();
});

/** Does any check of this role fail? */
async function isNoticed(protocol: string, world: ExaminedWorld = {}): Promise<boolean> {
  for (const check of Object.values(roleChecks))
    try {
      const up = examinedRoles[protocol];
      if (up !== undefined) await check(await up(world));
    } catch {
      return true;
    }
  return false;
}

describe.each(['sip', 'mgcp', 'megaco'])('the role of %s', (protocol) => {
  it('is whole as long as nothing is broken', async () => {
    expect(await isNoticed(protocol)).toBe(false);
  });

  const own = protocol === 'sip' ? ['isKeepAlive', 'keepAliveAnswer'] : [];
  it.each(['decode', 'encode', 'paths', 'probe', ...own])('needs %s of its adapter', async (name) => {
    broken.name = name;
    expect(await isNoticed(protocol)).toBe(true);
  });

  it.runIf(protocol !== 'mgcp')('needs framing of its adapter, over connections', async () => {
    const failure = async () => {
      try {
        return await (await examinedRoles[protocol]?.({ transport: 'tcp' }))?.call();
      } catch (error) {
        return String(error);
      }
    };
    expect(await failure()).toBeUndefined();
    broken.name = 'framing';
    expect(await failure()).toBeDefined();
  });

  const members = protocol === 'sip' ? (['partner', 'backup', 'member'] as const) : [];
  it.each(['octets', 'answer', 'probe', 'path', 'addressOf', ...members] as const)(
    'needs %s of the Assembler',
    async (name) => {
      vi.spyOn(Assembler.prototype, name).mockImplementation(() => {
        throw new Error(`${name} is broken`);
      });
      expect(await isNoticed(protocol, { isOneWay: true })).toBe(true);
    },
  );

  it.runIf(protocol !== 'sip')('needs the time to live of names of the AddressResolver', async () => {
    // A name that would be good for ever is asked for again after a minute.
    vi.spyOn(AddressResolver.prototype, 'ttlMs').mockReturnValue(Number.MAX_SAFE_INTEGER);
    expect(await isNoticed(protocol)).toBe(true);
  });

  it('needs the places of numbers of the AddressResolver', async () => {
    vi.spyOn(AddressResolver.prototype, protocol === 'sip' ? 'contactsOf' : 'locate').mockImplementation(() => {
      throw new Error('locate is broken');
    });
    expect(await isNoticed(protocol)).toBe(true);
  });

  it('needs next hops of the AddressResolver', async () => {
    vi.spyOn(AddressResolver.prototype, protocol === 'sip' ? 'using' : 'resolve').mockImplementation(() => {
      throw new Error('next hops are broken');
    });
    expect(await isNoticed(protocol)).toBe(true);
  });
});
