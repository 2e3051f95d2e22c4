/** RFC 4475 through a whole SIP role: the outcome of each message, and what its section says of the message that leaves. */
import { describe, expect, it } from 'vitest';
import { decode } from '../../../protocols/sip/codec/decode.ts';
import { H } from '../../../protocols/sip/codec/header-names.ts';
import { parseVia } from '../../../protocols/sip/codec/values.ts';
import {
  lossesOf,
  type Outcome,
  octetsOf,
  sinkHost,
  type TortureMessage,
  torture,
  tortureMessages,
} from './torture.ts';
import { answerTo, bodyOf, fieldsOf, request, SipWorld, startLine, statusOf } from './world.ts';

const messages = tortureMessages(4_475);

const named = (name: string): TortureMessage => {
  const found = messages.find(({ file }) => file === `rfc4475/${name}.dat`);
  if (found === undefined) throw new Error(`no vector ${name}`);
  return found;
};

describe('RFC 4475: what a proxy makes of every message', () => {
  it.each(messages.map((message) => [message.section, message.title, message] as const))(
    '§%s %s',
    async (_section, _title, message) => {
      const outcome = await torture(message);
      expect(message.proxy.allowed).toContain(outcome.word);
      // Whatever the outcome: what is forwarded is otherwise as it came, and what is answered is a message.
      if (outcome.word === 'forward') {
        const strict = message.file.endsWith('mpart01.dat');
        expect(lossesOf(outcome, strict ? { requestUri: 'sip:127.0.0.1:5080', routes: 'edited' } : {})).toEqual([]);
      }
      if (outcome.word.startsWith('reject:')) {
        expect(outcome.sent.length).toBe(1);
        expect(outcome.answer).toMatch(/^SIP\/2\.0 \d{3} [^\r\n]+\r\n/);
        expect(outcome.answer.endsWith('Content-Length: 0\r\n\r\n')).toBe(true);
      }
    },
  );
});

describe('RFC 4475: what the registrar of example.com makes of every message for it', () => {
  it.each(
    messages.flatMap((message) =>
      message.registrar === undefined ? [] : [[message.section, message.title, message, message.registrar] as const],
    ),
  )('§%s %s', async (_section, _title, message, registrar) => {
    const outcome = await torture(message, ['example.com']);
    expect(registrar.allowed.map((status) => `reject:${status}`)).toContain(outcome.word);
  });
});

interface Check {
  readonly name: string;
  readonly claim: string;
  /** Asked of a proxy, or of the registrar of example.com. */
  readonly of?: 'registrar';
  readonly holds: (outcome: Outcome) => void;
}

const check = (name: string, claim: string, holds: (outcome: Outcome) => void): Check => ({ name, claim, holds });

const registered = (name: string, claim: string, holds: (outcome: Outcome) => void): Check => ({
  name,
  claim,
  of: 'registrar',
  holds,
});

const via = (outcome: Outcome): readonly string[] => [
  ...fieldsOf(outcome.forwarded, 'via'),
  ...fieldsOf(outcome.forwarded, 'v'),
];

const checks: readonly Check[] = [
  check('wsinv', 'counts Max-Forwards 0068 down to 67 and keeps the CSeq folded', ({ forwarded }) => {
    expect(forwarded).toContain('\r\nMaX-fOrWaRdS: 67\r\n');
    expect(forwarded).toContain('\r\ncseq: 0009\r\n  INVITE\r\n');
    expect(read(forwarded)).toMatchObject({ cseq: 9, method: 'INVITE', maxForwards: 67 });
  }),
  check('wsinv', 'keeps the tags behind white space, unknown fields and the Route', ({ forwarded }) => {
    const message = read(forwarded);
    expect([message.toTag, message.fromTag]).toEqual(['1918181833n', '98asjd8']);
    expect(forwarded).toContain('\r\nUnknownHeaderWithUnusualValue: ;;,,;;,;\r\n');
    expect(forwarded).toContain('\r\nRoute:\r\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r\n');
  }),
  check('wsinv', 'puts its Via above four that stay four, in order', ({ forwarded }) => {
    const vias = read(forwarded)
      .list(H.via)
      .map((value) => parseVia(value));
    expect(vias.map((each) => each?.host)).toEqual([
      '127.0.0.1',
      '192.0.2.2',
      'spindle.example.com',
      '192.168.255.111',
    ]);
    expect(vias.map((each) => each?.transport)).toEqual(['UDP', 'UDP', 'TCP', 'UDP']);
    expect(vias.at(-1)?.branch).toBe('z9hG4bK30239');
  }),
  check('wsinv', 'goes where the Route says', ({ forwardedTo, world }) => {
    expect(forwardedTo).toBe(`${sinkHost} 5060`);
    expect(world.asked).toContain('A services.example.com');
  }),
  check('intmeth', 'keeps method, Request-URI and Call-ID octet for octet', ({ forwarded, original }) => {
    expect(startLine(forwarded)).toBe(startLine(original));
    expect(fieldsOf(forwarded, 'call-id')).toEqual(['intmeth.word%ZK-!.*_+\'@word`~)(><:\\/"][?}{']);
    expect(fieldsOf(forwarded, 'cseq')).toEqual(["139122385 !interesting-Method0123456789_*+`.%indeed'~"]);
    expect(fieldsOf(forwarded, 'max-forwards')).toEqual(['254']);
    expect(forwarded).toContain('To: "BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f" ');
  }),
  check('esc01', 'asks for the host behind the last @, not for an escaped one', ({ world, forwarded }) => {
    expect(world.asked).toContain('A example.net');
    expect(startLine(forwarded)).toBe('INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0');
  }),
  check('esc02', 'takes RE%47IST%45R for no REGISTER and C%6Fntact for no Contact', ({ forwarded }) => {
    expect(startLine(forwarded)).toMatch(/^RE%47IST%45R /);
    expect(
      read(forwarded)
        .addresses(H.contact)
        .map((each) => each?.uri),
    ).toEqual(['sip:alias1@host1.example.com', 'sip:alias3@host3.example.com']);
    expect(forwarded).toMatch(/\r\nC%6Fntact: [^\r]*alias2/);
  }),
  check('lwsdisp', 'keeps the display name that touches its bracket', ({ forwarded }) => {
    expect(fieldsOf(forwarded, 'from')).toEqual(['caller<sip:caller@example.com>;tag=323']);
  }),
  check('longreq', 'keeps 34 Vias in order below its own', (outcome) => {
    const hosts = read(outcome.forwarded)
      .list(H.via)
      .map((value) => parseVia(value)?.host);
    const expected = Array.from({ length: 33 }, (_, index) => `sip${33 - index}.example.com`);
    expect(hosts).toEqual(['127.0.0.1', ...expected, 'host.example.com']);
  }),
  check('dblreq', 'forwards nothing behind the message, and does not process it', ({ forwarded, sent }) => {
    expect(forwarded).not.toContain('INVITE');
    expect(sent.length).toBe(1);
    expect(forwarded.endsWith('\r\n\r\n')).toBe(true);
  }),
  check('semiuri', 'takes a semicolon in the user part for no parameter', ({ world, forwarded }) => {
    expect(world.asked).toContain('A example.com');
    expect(startLine(forwarded)).toBe('OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0');
    expect(fieldsOf(forwarded, 'max-forwards')).toEqual(['2']);
  }),
  check('transports', 'keeps the Vias of transports nobody knows', (outcome) => {
    expect(via(outcome).slice(2)).toEqual([
      'SIP/2.0/SCTP t2.example.com;branch=z9hG4bKklasjdhf',
      'SIP/2.0/TLS t3.example.com;branch=z9hG4bK2980unddj',
      'SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en',
      'SIP/2.0/TCP t5.example.com;branch=z9hG4bK0a9idfnee',
    ]);
    expect(via(outcome)[1]).toContain('SIP/2.0/UDP t1.example.com;branch=z9hG4bKkdjuw');
  }),
  check('mpart01', 'makes the strict router the Request-URI and the old one the last Route', (outcome) => {
    expect(startLine(outcome.forwarded)).toBe('MESSAGE sip:127.0.0.1:5080 SIP/2.0');
    expect(fieldsOf(outcome.forwarded, 'route')).toEqual(['<sip:kumiko@example.org>']);
    expect(outcome.forwardedTo).toBe('127.0.0.1 5080');
  }),
  check('mpart01', 'keeps 553 octets of binary body', ({ forwarded, original }) => {
    expect(bodyOf(forwarded).length).toBe(553);
    expect(bodyOf(forwarded)).toBe(bodyOf(original));
  }),
  check('mpart01', 'fills in rport and received', (outcome) => {
    expect(via(outcome)[1]).toContain(';rport=5070');
    expect(via(outcome)[1]).toContain(';received=198.51.100.7');
  }),
  check('scalar02', 'reads no number beyond its limits as another', ({ answer }) => {
    expect(answer).not.toMatch(/Expires|Retry-After/);
    expect(fieldsOf(answer, 'cseq')).toEqual(['36893488147419103232 REGISTER']);
  }),
  check('escruri', 'makes no Route of an escaped header', ({ sent }) => {
    expect(sent.some(({ bytes }) => bytes.toString('latin1').includes('\r\nRoute:'))).toBe(false);
  }),
  check('baddate', 'leaves a Date in no time zone it knows to others', ({ forwarded }) => {
    expect(fieldsOf(forwarded, 'date')).toEqual(['Fri, 01 Jan 2010 16:00:00 EST']);
  }),
  check('insuf', 'answers without the fields that are not there', ({ answer }) => {
    expect(fieldsOf(answer, 'cseq')).toEqual(['193942 INVITE']);
    expect(fieldsOf(answer, 'call-id')).toEqual([]);
  }),
  check('unkscm', 'does not route by To', ({ sent, world }) => {
    expect(sent.length).toBe(1);
    expect(world.asked).toEqual([]);
  }),
  check('bext01', 'names the options of Proxy-Require it lacks, and none of Require', ({ answer }) => {
    expect(fieldsOf(answer, 'unsupported')).toEqual(['noProxiesSupportThis, norDoAnyProxiesSupportThis']);
  }),
  check('invut', 'keeps a body of a type nobody knows', ({ forwarded, original }) => {
    expect(bodyOf(forwarded)).toBe(bodyOf(original).slice(0, 40));
    expect(bodyOf(forwarded).length).toBe(40);
  }),
  check('regaut01', 'keeps credentials of a scheme it does not know', ({ forwarded }) => {
    expect(fieldsOf(forwarded, 'authorization')).toEqual(['NoOneKnowsThisScheme opaque-data=here']);
  }),
  check('bcast', 'sends nothing to the broadcast address', ({ sent }) => {
    expect(sent).toEqual([]);
  }),
  check('sdp01', 'keeps an Accept that no answerer could meet', ({ forwarded }) => {
    expect(fieldsOf(forwarded, 'accept')).toEqual(['text/nobodyKnowsThis']);
  }),
  check('inv2543', 'adds Max-Forwards and its Record-Route above the one there', ({ forwarded, original }) => {
    expect(fieldsOf(forwarded, 'max-forwards')).toEqual(['70']);
    expect(fieldsOf(forwarded, 'record-route')).toEqual([
      '<sip:127.0.0.1:5060;lr>',
      '<sip:UserB@example.com;maddr=ss1.example.com>',
    ]);
    expect(bodyOf(forwarded)).toBe(bodyOf(original));
  }),
  registered('escnull', 'registers two contacts that differ in the number of NULs', ({ answer, world }) => {
    expect(fieldsOf(answer, 'contact').map((value) => value.replace(/;.*/, ''))).toEqual([
      '<sip:%00@host5.example.com>',
      '<sip:%00%00@host5.example.com>',
    ]);
    expect(world.locations.lookup('null-\0-null@example.com').length).toBe(2);
  }),
  registered('cparam01', 'takes a parameter behind a bare URI for one of the header field', ({ world }) => {
    const [contact] = world.locations.lookup('watson@example.com');
    expect(contact?.target).toBe('sip:+19725552222@gw1.example.net');
    expect(contact?.params ?? '').toContain('unknownparam');
  }),
  registered('cparam02', 'takes a parameter inside the brackets for one of the URI', ({ world }) => {
    const [contact] = world.locations.lookup('watson@example.com');
    expect(contact?.target).toBe('sip:+19725552222@gw1.example.net;unknownparam');
  }),
  registered('regescrt', 'keeps the escaped header of a contact', ({ world }) => {
    const [contact] = world.locations.lookup('user@example.com');
    expect(contact?.target).toBe('sip:user@example.com?Route=%3Csip:sip.example.com%3E');
  }),
];

describe('RFC 4475: what is said of the message that leaves', () => {
  it.each(checks.map((each) => [each.name, each.claim, each] as const))('%s %s', async (_name, _claim, each) => {
    const outcome = await torture(named(each.name), each.of === 'registrar' ? ['example.com'] : undefined);
    expect(outcome.word).not.toBe('');
    each.holds(outcome);
  });
});

describe('RFC 4475 with a proxy Via on top: responses', () => {
  it('§3.1.1.12 goes back with its reason phrase octet for octet', async () => {
    const { caller, world } = await answered(octetsOf('rfc4475/unreason.dat').toString('latin1'));
    const phrase = /^SIP\/2\.0 200 (.*)\r\n/.exec(octetsOf('rfc4475/unreason.dat').toString('latin1'))?.[1] ?? '';
    expect(startLine(caller.last)).toBe(`SIP/2.0 200 ${phrase}`);
    await world.down();
  });

  it('§3.1.1.13 is understood without a reason phrase, with and without the blank before it', async () => {
    for (const start of ['SIP/2.0 183 ', 'SIP/2.0 183']) {
      const { caller, world } = await answered(`${start}\r\n\r\n`);
      expect(statusOf(caller.last)).toBe(183);
      await world.down();
    }
  });

  it('§3.1.2.19 is dropped where its status code is none', async () => {
    const { caller, world } = await answered('SIP/2.0 4294967301 better not break the receiver\r\n\r\n');
    expect(caller.texts.map(statusOf)).toEqual([100]);
    await world.down();
  });

  it('§3.3.10 goes to the sender of the request, whatever broadcast address its Via says', async () => {
    const { caller, world } = await answered('SIP/2.0 200 OK\r\n\r\n', '255.255.255.255;rport');
    expect(statusOf(caller.last)).toBe(200);
    expect(world.sent.map(({ to }) => to.host)).not.toContain('255.255.255.255');
    await world.down();
  });

  it('§3.3.10 does not go to a broadcast maddr either', async () => {
    const { world } = await answered('SIP/2.0 200 OK\r\n\r\n', '127.0.0.9:5062;maddr=255.255.255.255');
    expect(world.sent.map(({ to }) => to.host)).not.toContain('255.255.255.255');
    await world.down();
  });

  /** An INVITE goes through, and comes back with the start line of `template` and the Via the proxy wrote. */
  async function answered(template: string, sentBy = '127.0.0.9:5062') {
    const world = await SipWorld.up();
    const caller = await world.peer('127.0.0.9:5062');
    const callee = await world.peer('127.0.0.20:5070');
    caller.send(request('INVITE', { via: sentBy }));
    await world.run(250);
    callee.answer(answerTo(callee.last, 299).replace(/^[^\r]*/, () => startLine(template)));
    await world.run();
    return { world, caller, callee };
  }
});

describe('RFC 4475 §3.2.1: the branch z9hG4bK alone tells nothing', () => {
  it('keeps two different requests with it apart', async () => {
    const world = await SipWorld.up();
    const caller = await world.peer('127.0.0.9:5062');
    const callee = await world.peer('127.0.0.20:5070');
    caller.send(request('OPTIONS', { branch: 'z9hG4bK', callId: 'one' }));
    caller.send(request('OPTIONS', { branch: 'z9hG4bK', callId: 'two' }));
    await world.run();
    expect(callee.texts.map((text) => fieldsOf(text, 'call-id')[0])).toEqual(['one', 'two']);
    await world.down();
  });
});

describe('RFC 4475 §3.4.1: a request without a branch', () => {
  it('is matched by what RFC 3261 §17.2.3 names instead, its answer finds back, its ACK as well', async () => {
    const world = await SipWorld.up();
    const caller = await world.peer('127.0.0.9:5062');
    const callee = await world.peer('127.0.0.20:5070');
    const invite = request('INVITE', { from: '<sip:alice@atlanta.example>' }).replace(/;branch=[^\r]*/, '');
    caller.send(invite);
    await world.run();
    caller.send(invite);
    await world.run();
    expect(callee.texts.length).toBe(1);
    callee.answer(answerTo(callee.last, 486));
    await world.run();
    expect(caller.texts.map(statusOf)).toContain(486);
    caller.send(
      request('ACK', { from: '<sip:alice@atlanta.example>', to: '<sip:bob@biloxi.example>;tag=b1' }).replace(
        /;branch=[^\r]*/,
        '',
      ),
    );
    caller.take();
    await world.run(4_000);
    // The ACK was understood: the 486 is not repeated (Timer G).
    expect(caller.texts).toEqual([]);
    await world.down();
  });
});

function read(text: string) {
  const decoded = decode(Buffer.from(text, 'latin1'));
  if (!decoded.ok) throw new Error(decoded.error.reason);
  return decoded.value;
}
