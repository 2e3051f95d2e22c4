import { describe, expect, it } from 'vitest';
import { type Scene, scene, toBob, usrloc } from './proxy-scene.ts';
import { answerTo, branchOf, fieldsOf, gist, request } from './world.ts';

describe('RFC 3261 §16.7 response processing', () => {
  const three = ['<sip:one@127.0.0.20:5070>', '<sip:two@127.0.0.20:5070>', '<sip:three@127.0.0.20:5070>'];

  it.each<[string, readonly number[], string]>([
    ['the lowest class', [486, 302, 500], '302'],
    ['what tells the caller what to do within the class', [404, 420, 480], '420'],
    ['6xx above all', [486, 603, 302], '603'],
    ['anything but 408 of its class', [408, 404, 408], '404'],
    ['500 in place of 503, which is of the next hop', [503, 503, 503], '500'],
    ['4xx before 503', [503, 486, 500], '486'],
  ])('chooses %s', async (_claim, statuses, expected) => {
    const { world, caller, callee } = await usrloc(three);
    caller.send(request('INVITE', toBob));
    await world.run();
    expect(callee.heard.length).toBe(3);
    for (const [index, text] of callee.take().entries()) callee.send(answerTo(text, statuses[index] ?? 500));
    // A 6xx cancels the others, which answer 487.
    await world.run();
    for (const text of callee.take()) if (text.startsWith('CANCEL')) callee.send(answerTo(text, 200));
    await world.run();
    expect(gist(caller.texts)).toEqual([expected]);
  });

  it('gathers the challenges of all branches', async () => {
    const { world, caller, callee } = await usrloc(three);
    caller.send(request('INVITE', toBob));
    await world.run();
    const [one = '', two = '', other = ''] = callee.take();
    callee.send(answerTo(one, 401, { fields: 'WWW-Authenticate: Digest realm="one"\r\n' }));
    callee.send(answerTo(two, 407, { fields: 'Proxy-Authenticate: Digest realm="two"\r\n' }));
    callee.send(answerTo(other, 404));
    await world.run();
    expect(['401', '407']).toContain(gist(caller.texts).at(-1));
    expect(fieldsOf(caller.last, 'www-authenticate')).toEqual(['Digest realm="one"']);
    expect(fieldsOf(caller.last, 'proxy-authenticate')).toEqual(['Digest realm="two"']);
  });

  it('forwards a 2xx at once, cancels the other branches, and forwards a second 2xx as well', async () => {
    const { world, caller, callee } = await usrloc(three.slice(0, 2));
    caller.send(request('INVITE', toBob));
    await world.run();
    const [one = '', two = ''] = callee.take();
    callee.send(answerTo(one, 180, { tag: 'one' }));
    callee.send(answerTo(two, 180, { tag: 'two' }));
    await world.run();
    callee.send(answerTo(one, 200, { tag: 'one' }));
    await world.run();
    expect(gist(callee.texts)).toEqual(['CANCEL']);
    expect(branchOf(callee.last)).toBe(branchOf(two));
    // RFC 3326 §3.1: no missed call is shown there.
    expect(fieldsOf(callee.last, 'reason')).toEqual(['SIP;cause=200;text="Call completed elsewhere"']);
    callee.send(answerTo(two, 200, { tag: 'two' }));
    await world.run();
    expect(gist(caller.texts)).toEqual(['180', '180', '200', '200']);
    expect(fieldsOf(caller.last, 'to')[0]).toContain('tag=two');
  });

  it('forwards a repeated 2xx each time (RFC 6026)', async () => {
    const { world, caller, callee } = await scene();
    caller.send(request('INVITE'));
    await world.run();
    const ok = answerTo(callee.last, 200);
    for (let times = 0; times < 3; times += 1) callee.answer(ok);
    await world.run();
    expect(gist(caller.texts)).toEqual(['200', '200', '200']);
  });

  it('forwards no 100, and no provisional of a final request', async () => {
    const { world, caller, callee } = await scene();
    caller.send(request('INVITE'));
    await world.run();
    const invite = callee.last;
    callee.answer(answerTo(invite, 100));
    callee.answer(answerTo(invite, 200));
    callee.answer(answerTo(invite, 180));
    await world.run();
    expect(gist(caller.texts)).toEqual(['200']);
  });

  it('drops responses of no transaction (RFC 6026 §7.3)', async () => {
    const { world, callee } = await scene();
    const stranger = request('INVITE', { via: '127.0.0.1:5060', branch: 'z9hG4bKmadeup', fields: '' }).replace(
      '\r\nMax',
      '\r\nVia: SIP/2.0/UDP 127.0.0.9:5062;branch=z9hG4bKx\r\nMax',
    );
    callee.send(answerTo(stranger, 200));
    await world.run();
    expect(world.sent).toEqual([]);
  });

  it('drops a response whose only Via is its own', async () => {
    const { world, caller, callee } = await scene();
    caller.send(request('MESSAGE'));
    await world.run();
    const answer = answerTo(callee.last, 200);
    callee.answer(answer.replace(/\r\nVia: SIP\/2\.0\/UDP 127\.0\.0\.9[^\r]*/, ''));
    await world.run();
    expect(caller.texts).toEqual([]);
  });
});

describe('RFC 3261 §16.6 item 7 forking by q', () => {
  const ranked = [
    '<sip:low@127.0.0.20:5070>;q=0.2',
    '<sip:high@127.0.0.20:5070>;q=0.9',
    '<sip:too@127.0.0.20:5070>;q=0.9',
  ];
  const targets = (texts: readonly string[]) =>
    texts.filter((text) => text.startsWith('INVITE')).map((text) => /sip:(\w+)@/.exec(text)?.[1]);

  it('tries equal q at once, lower q when those have failed', async () => {
    const { world, caller, callee } = await usrloc(ranked);
    caller.send(request('INVITE', toBob));
    await world.run();
    const first = callee.take();
    expect(targets(first).toSorted()).toEqual(['high', 'too']);
    for (const text of first) callee.send(answerTo(text, 486));
    await world.run();
    expect(targets(callee.texts)).toEqual(['low']);
    callee.send(answerTo(callee.take().find((text) => text.startsWith('INVITE')) ?? '', 200));
    await world.run();
    expect(gist(caller.texts)).toEqual(['200']);
  });

  it('tries one after the other if so configured', async () => {
    const { world, caller, callee } = await usrloc(ranked, { forking: 'serial' });
    caller.send(request('INVITE', toBob));
    await world.run();
    expect(targets(callee.texts).length).toBe(1);
    callee.answer(answerTo(callee.last, 486));
    await world.run();
    expect(targets(callee.texts).length).toBe(2);
  });

  it('stops the search at a 6xx', async () => {
    const { world, caller, callee } = await usrloc(ranked);
    caller.send(request('INVITE', toBob));
    await world.run();
    for (const text of callee.take()) callee.send(answerTo(text, 603));
    await world.run();
    expect(gist(caller.texts)).toEqual(['603']);
    expect(targets(callee.texts)).toEqual([]);
  });
});

describe('RFC 3261 §16.8, §16.9 timers and transport errors', () => {
  it('cancels an INVITE that rings beyond Timer C, and then answers 408 or what comes', async () => {
    const { world, caller, callee } = await scene();
    caller.send(request('INVITE'));
    await world.run();
    callee.answer(answerTo(callee.last, 180));
    await world.run(180_900);
    expect(gist(callee.take()).filter((word) => word === 'CANCEL')).toEqual([]);
    await world.run(200);
    expect(gist(callee.texts)).toContain('CANCEL');
    callee.take();
    await world.run(33_000);
    expect(gist(caller.texts).at(-1)).toBe('408');
  });

  it('starts Timer C anew with every provisional but 100', async () => {
    const { world, caller, callee } = await scene();
    caller.send(request('INVITE'));
    await world.run();
    const invite = callee.last;
    callee.answer(answerTo(invite, 180));
    await world.run(180_000);
    callee.answer(answerTo(invite, 180));
    await world.run(180_000);
    expect(gist(callee.texts)).not.toContain('CANCEL');
    await world.run(1_100);
    expect(gist(callee.texts)).toContain('CANCEL');
  });

  it('answers 408 to an INVITE nobody answers, and keeps silent for others (RFC 4320 §4.2)', async () => {
    const { world, caller } = await scene();
    // Somebody is there, and says nothing.
    await world.peer('127.0.0.66');
    caller.send(request('INVITE', { uri: 'sip:x@127.0.0.66' }));
    caller.send(request('OPTIONS', { uri: 'sip:x@127.0.0.66', branch: 'z9hG4bKo' }));
    await world.run(33_000);
    expect(gist(caller.texts)).toContain('408');
    expect(caller.texts.filter((text) => fieldsOf(text, 'cseq')[0] === '1 OPTIONS')).toEqual([]);
  });

  it('answers 500 where no connection can be made', async () => {
    const { world, caller } = await scene();
    caller.send(request('OPTIONS', { uri: 'sip:x@127.0.0.66;transport=tcp' }));
    await world.run(2_000);
    expect(gist(caller.texts)).toEqual(['500']);
  });

  it('answers for a name that does not exist', async () => {
    const { world, caller } = await scene();
    caller.send(request('OPTIONS', { uri: 'sip:x@nowhere.example' }));
    await world.run(2_000);
    expect(gist(caller.texts)).toEqual(['500']);
  });
});

describe('RFC 3261 §16.10 CANCEL', () => {
  async function ringing(): Promise<Scene & { readonly invite: string }> {
    const made = await scene();
    made.caller.send(request('INVITE'));
    await made.world.run();
    const invite = made.callee.last;
    made.callee.answer(answerTo(invite, 180));
    await made.world.run();
    made.caller.take();
    made.callee.take();
    return { ...made, invite };
  }

  it('answers it, cancels what rings with the same branch, and forwards the 487', async () => {
    const { world, caller, callee, invite } = await ringing();
    caller.send(request('CANCEL', { fields: 'Reason: SIP;cause=600\r\n' }));
    await world.run();
    expect(gist(caller.take())).toEqual(['200']);
    expect(gist(callee.texts)).toEqual(['CANCEL']);
    expect(branchOf(callee.last)).toBe(branchOf(invite));
    expect(fieldsOf(callee.last, 'via').length).toBe(1);
    expect(fieldsOf(callee.last, 'cseq')).toEqual(['1 CANCEL']);
    expect(fieldsOf(callee.last, 'reason')).toEqual(['SIP;cause=600']);
    callee.answer(answerTo(callee.last, 200));
    callee.send(answerTo(invite, 487));
    await world.run();
    expect(gist(caller.texts)).toEqual(['487']);
  });

  it('passes every Reason field on, also where the CANCEL has to wait (RFC 3326 §2)', async () => {
    const { world, caller, callee } = await scene();
    caller.send(request('INVITE'));
    await world.run();
    const invite = callee.last;
    const reasons = ['SIP;cause=200;text="Call completed elsewhere"', 'Q.850;cause=26', 'X;cause=1, Y;cause=2'];
    caller.send(request('CANCEL', { fields: reasons.map((reason) => `Reason: ${reason}\r\n`).join('') }));
    await world.run();
    callee.answer(answerTo(invite, 180));
    await world.run();
    expect(gist(callee.texts)).toEqual(['INVITE', 'CANCEL']);
    expect(fieldsOf(callee.last, 'reason')).toEqual(reasons);
  });

  it('waits for a provisional before it cancels downstream (§9.1)', async () => {
    const { world, caller, callee } = await scene();
    caller.send(request('INVITE'));
    await world.run();
    const invite = callee.last;
    caller.send(request('CANCEL'));
    await world.run(20);
    expect(gist(callee.texts)).toEqual(['INVITE']);
    callee.answer(answerTo(invite, 180));
    await world.run();
    expect(gist(callee.texts)).toEqual(['INVITE', 'CANCEL']);
  });

  it('lets the 2xx win that crossed the CANCEL', async () => {
    const { world, caller, callee, invite } = await ringing();
    caller.send(request('CANCEL'));
    await world.run();
    callee.send(answerTo(invite, 200));
    await world.run();
    expect(gist(caller.texts)).toEqual(['200', '200']);
    expect(fieldsOf(caller.last, 'cseq')).toEqual(['1 INVITE']);
  });

  it("acknowledges the 487 hop by hop, with the INVITE's branch", async () => {
    const { world, callee, invite } = await ringing();
    callee.send(answerTo(invite, 486));
    await world.run();
    expect(gist(callee.texts)).toEqual(['ACK']);
    expect(branchOf(callee.last)).toBe(branchOf(invite));
    expect(fieldsOf(callee.last, 'to')[0]).toContain(';tag=b1');
    expect(fieldsOf(callee.last, 'cseq')).toEqual(['1 ACK']);
    callee.take();
    callee.send(answerTo(invite, 486));
    await world.run();
    expect(gist(callee.texts)).toEqual(['ACK']);
  });
});

describe('ACK of a 2xx (RFC 3261 §13.2.2.4)', () => {
  it("passes end to end along the route set, with the caller's Via below ours", async () => {
    const { world, caller, callee } = await scene();
    caller.send(
      request('ACK', {
        branch: 'z9hG4bKack',
        to: '<sip:bob@biloxi.example>;tag=b',
        fields: 'Route: <sip:127.0.0.1:5060;lr>\r\n',
      }),
    );
    await world.run();
    expect(gist(callee.texts)).toEqual(['ACK']);
    expect(fieldsOf(callee.last, 'route')).toEqual([]);
    expect(fieldsOf(callee.last, 'via').length).toBe(2);
    expect(fieldsOf(callee.last, 'record-route')).toEqual([]);
    expect(world.sent.length).toBe(1);
  });
});
