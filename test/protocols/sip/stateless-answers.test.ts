/**
 * RFC 3261 §8.2.7: a server may answer without a transaction where every copy of a request gets the same answer. What a copy would change
 * has a transaction all the same: a removal, and whatever was answered to credentials, which are good once.
 */
import { describe, expect, it } from 'vitest';
import { fieldsOf, gist, request, SipWorld } from './world.ts';

const contact = '<sip:alice@127.0.0.9:5062>';

const register = (cseq: number, fields = `Contact: ${contact}\r\nExpires: 600\r\n`, callId = 'r'): string =>
  request('REGISTER', {
    uri: 'sip:biloxi.example',
    to: '<sip:alice@biloxi.example>',
    branch: `z9hG4bKr${cseq}${callId}`,
    callId,
    cseq,
    fields,
  });

async function scene(config: Readonly<Record<string, unknown>> = {}) {
  const world = await SipWorld.up({ config: { domains: ['biloxi.example'], ...config } });
  const telephone = await world.peer('127.0.0.9:5062');
  const send = async (text: string): Promise<string> => {
    telephone.send(text);
    await world.run(20);
    return telephone.take().join('');
  };
  const bound = (): number => world.locations.lookup('alice@biloxi.example').length;
  return { world, telephone, send, bound };
}

describe('a REGISTER', () => {
  it('that binds leaves no transaction; its copy is answered alike and moves nothing', async () => {
    const { world, send, bound } = await scene();
    const first = await send(register(1));
    expect(gist([first])).toEqual(['200']);
    expect(world.transactions).toBe(0);
    const [stored] = world.locations.lookup('alice@biloxi.example');
    const again = await send(register(1));
    expect([gist([again]), fieldsOf(again, 'to')]).toEqual([['200'], fieldsOf(first, 'to')]);
    expect(world.locations.lookup('alice@biloxi.example')[0]).toBe(stored);
    expect([bound(), world.transactions]).toEqual([1, 0]);
  });

  it('that is refused leaves none either, and its copies get the same', async () => {
    const { world, send } = await scene();
    const text = register(1, 'Contact: <sip:alice@127.0.0.9:5062>\r\nExpires: 600\r\nRequire: teleport\r\n');
    const first = await send(text);
    expect(gist([first])).toEqual(['420']);
    expect(await send(text)).toBe(first);
    expect(world.transactions).toBe(0);
  });

  it('that takes a contact back has a transaction, and no older copy brings the contact back', async () => {
    const { world, send, bound } = await scene();
    await send(register(1));
    const removal = register(2, `Contact: ${contact}\r\nExpires: 0\r\n`);
    const answer = await send(removal);
    expect([gist([answer]), bound(), world.transactions]).toEqual([['200'], 0, 1]);
    expect(await send(removal)).toBe(answer);
    // A copy of the first one comes late.
    expect(gist([await send(register(1))])).toEqual(['500']);
    expect(bound()).toBe(0);
    // The telephone itself is back, with the next number or after a restart with another Call-ID.
    expect(gist([await send(register(3))])).toEqual(['200']);
    await send(register(4, 'Contact: *\r\nExpires: 0\r\n'));
    expect(gist([await send(register(1, undefined, 'other'))])).toEqual(['200']);
    expect(bound()).toBe(1);
  });

  it('is not answered before it is stored, however often it comes', async () => {
    const { world, telephone, bound } = await scene();
    const stored: (() => void)[] = [];
    const save = world.locations.save.bind(world.locations);
    Object.assign(world.locations, {
      save: async (...given: Parameters<typeof save>) => {
        await save(...given);
        await new Promise<void>((resolve) => stored.push(resolve));
      },
    });
    for (let copy = 0; copy < 3; copy += 1) {
      telephone.send(register(1));
      await world.run(20);
    }
    expect([bound(), telephone.take().length, stored.length]).toEqual([1, 0, 1]);
    stored[0]?.();
    await world.run(20);
    expect(gist(telephone.take())).toEqual(['200']);
    telephone.send(register(1));
    await world.run(20);
    expect(gist(telephone.take())).toEqual(['200']);
    expect(stored).toHaveLength(1);
  });
});

describe('OPTIONS to ourselves', () => {
  it('leaves no transaction, and its copy is answered alike', async () => {
    const { world, send } = await scene();
    const options = request('OPTIONS', { uri: 'sip:biloxi.example', fields: 'User-Agent: some telephone\r\n' });
    const first = await send(options);
    expect(gist([first])).toEqual(['200']);
    expect(fieldsOf(first, 'to')[0]).toMatch(/;tag=/);
    expect(await send(options)).toBe(first);
    expect(world.transactions).toBe(0);
  });
});
