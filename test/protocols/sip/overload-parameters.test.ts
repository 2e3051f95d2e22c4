/** RFC 7339 and RFC 7415: what stands in Vias, and what it makes of the load of both sides. */
import { describe, expect, it } from 'vitest';
import { parseVia } from '../../../protocols/sip/codec/values.ts';
import { HopFeedback } from '../../../protocols/sip/overload/hop-feedback.ts';
import { NextHopControl } from '../../../protocols/sip/overload/next-hop-control.ts';
import { announcedAlgorithm, askedOf, withOc, withoutOc } from '../../../protocols/sip/overload/oc-params.ts';
import { type ControllerAddress, type Flow, Metrics, OverloadControl, silentLog } from '../../../src/internal.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const via = (params: string) => {
  const parsed = parseVia(`SIP/2.0/UDP 192.0.2.9:5060${params}`);
  if (parsed === undefined) throw new Error(`no Via: ${params}`);
  return parsed;
};

describe('RFC 7339 §4: what a client announces', () => {
  it.each([
    [';branch=z9hG4bK1;oc;oc-algo="loss,A"', 'loss'],
    [';branch=z9hG4bK1;oc;oc-algo="loss"', 'loss'],
    [';branch=z9hG4bK1;oc;oc-algo="rate,loss"', 'rate'],
    [';branch=z9hG4bK1;oc;oc-algo="A,rate,loss"', 'rate'],
    [';OC;OC-ALGO="Loss";branch=z9hG4bK1', 'loss'],
    [';branch=z9hG4bK1;oc', 'loss'],
    [';branch=z9hG4bK1; oc ; oc-algo = "loss"', 'loss'],
    [';branch=z9hG4bKoc;rport', undefined],
    [';branch=z9hG4bK1;oc-algo="loss"', undefined],
    [';branch=z9hG4bK1;ocean', undefined],
  ])('%s → %s', (params, algorithm) => {
    expect(announcedAlgorithm(params)).toBe(algorithm);
  });

  it('§5.6: goes no further than to us', () => {
    expect(withoutOc(';branch=z9hG4bK1;oc;oc-algo="loss,rate";rport')).toBe(';branch=z9hG4bK1;rport');
    expect(withoutOc(';branch=z9hG4bKoc')).toBe(';branch=z9hG4bKoc');
  });
});

describe('RFC 7339 §4: what a server asks', () => {
  it.each([
    [';oc=20;oc-algo="loss";oc-validity=500;oc-seq=1282321615.782', { algorithm: 'loss', oc: 20, validityMs: 500 }],
    [';oc=150;oc-algo="rate";oc-validity=1000;oc-seq=1.2', { algorithm: 'rate', oc: 150, validityMs: 1_000 }],
    [';oc=0;oc-algo="loss";oc-validity=0', { oc: 0, validityMs: 0, seq: undefined }],
    [';oc=30;oc-algo="loss"', { validityMs: 500 }],
    [';oc=30;oc-algo="loss";oc-validity=99999999', { validityMs: 60_000 }],
  ])('%s', (params, expected) => {
    expect(askedOf(params)).toMatchObject(expected);
  });

  it.each([';oc', ';oc=x', ';oc=101;oc-algo="loss"', ';oc=5;oc-algo="new"', ';oc-validity=500', ';oc=-1', ';oc=1e9'])(
    '%s is nothing',
    (params) => {
      expect(askedOf(params)).toBeUndefined();
    },
  );

  it('stands in the top Via alone, whatever stood there', () => {
    const text =
      'SIP/2.0 180 Ringing\r\nv: SIP/2.0/UDP 192.0.2.9;oc;branch=z9hG4bK1;oc-algo="loss,rate"\r\n , SIP/2.0/UDP b;oc\r\nTo: x\r\n\r\n';
    expect(withOc(text, ';oc=3')).toBe(
      'SIP/2.0 180 Ringing\r\nv: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1;oc=3 , SIP/2.0/UDP b;oc\r\nTo: x\r\n\r\n'.replace(
        'oc=3 ,',
        'oc=3,',
      ),
    );
    for (const broken of ['', 'SIP/2.0 200 OK\r\n\r\n', 'Via: x']) expect(withOc(broken, ';oc=3')).toBe(broken);
  });
});

function load() {
  const clock = new FakeClock();
  const state = { queued: 0 };
  const overload = new OverloadControl({
    clock,
    random: seededRandom(2),
    log: silentLog,
    metrics: new Metrics(),
    sensor: { sample: () => ({ delayMs: 0, utilization: state.queued > 0 ? 1 : 0.3, queued: state.queued }) },
    settings: { keptPerSecond: 10 },
  });
  overload.start();
  const feedback = new HopFeedback(overload);
  const client = { host: '192.0.2.9', port: 5060 };
  const told = (params: string) => {
    const text = feedback.write(`SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.9${params}\r\n\r\n`, via(params), client);
    return askedOf(/Via: [^;]*(.*)\r\n/.exec(text)?.[1] ?? '');
  };
  /** Half of the requests are new. */
  const run = (seconds: number, perTenth: number, params: string): void => {
    for (let tenth = 0; tenth < seconds * 10; tenth += 1) {
      for (let n = 0; n < perTenth; n += 1) {
        feedback.takesPart(via(params), client, n % 2 === 0);
        if (n % 2 === 0) overload.admits();
      }
      clock.advance(100);
    }
  };
  return { clock, state, overload, feedback, told, run };
}

describe('RFC 7339 §5: what the hops before us are told', () => {
  it('§5.1: nothing is asked while all is well, and who does not take part is told nothing', () => {
    const { told, feedback } = load();
    expect(told(';branch=z9hG4bK1;oc;oc-algo="loss"')).toMatchObject({ oc: 0, validityMs: 0, algorithm: 'loss' });
    const text = 'SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n\r\n';
    expect(feedback.write(text, via(';branch=z9hG4bK1'), { host: '192.0.2.9', port: 5060 })).toBe(text);
  });

  it('§5.3, §7: the share of all requests, of which new ones are a part', () => {
    const { told, state, run, overload } = load();
    const params = ';branch=z9hG4bK1;oc;oc-algo="loss"';
    run(2, 100, params);
    state.queued = 1;
    run(2, 100, params);
    const asked = told(params);
    expect(overload.keep).toBeLessThan(0.3);
    expect(asked).toMatchObject({ algorithm: 'loss', validityMs: 1_000 });
    // Half of what comes is new; had it left out the rest already, it would be more.
    const would = 0.5 / overload.keep;
    const expected = (100 * (1 - overload.keep) * would) / (would + 0.5);
    expect(Math.abs((asked?.oc ?? 0) - expected)).toBeLessThan(2);
  });

  it('RFC 7415 §3.4: a rate for who prefers one, below what it sent before', () => {
    const { told, state, run } = load();
    const params = ';branch=z9hG4bK1;oc;oc-algo="rate,loss"';
    run(3, 100, params);
    state.queued = 1;
    run(2, 100, params);
    const asked = told(params);
    expect(asked?.algorithm).toBe('rate');
    expect(asked?.oc).toBeGreaterThan(0);
    expect(asked?.oc).toBeLessThan(500);
  });

  it('§4.4: numbers grow from sample to sample', () => {
    const { told, clock } = load();
    const params = ';branch=z9hG4bK1;oc;oc-algo="loss"';
    clock.advance(100);
    const first = told(params)?.seq ?? 0;
    clock.advance(100);
    expect(told(params)?.seq).toBeGreaterThan(first);
  });

  it('where what was asked for does not help, nobody is believed any more until it does', () => {
    const { state, run, feedback } = load();
    const params = ';branch=z9hG4bK1;oc;oc-algo="loss"';
    const client = { host: '192.0.2.9', port: 5060 };
    run(2, 100, params);
    state.queued = 1;
    run(1, 100, params);
    expect(feedback.takesPart(via(params), client, false)).toBe(true);
    run(5, 100, params);
    expect(feedback.takesPart(via(params), client, false)).toBe(false);
    state.queued = 0;
    run(10, 100, params);
    expect(feedback.takesPart(via(params), client, false)).toBe(true);
  });
});

function nextHop() {
  const clock = new FakeClock();
  const metrics = new Metrics();
  const isNamed = (flow: Flow): boolean => flow.remote.host === hop.host;
  const control = new NextHopControl({ clock, random: seededRandom(5), metrics, isNamed });
  const hop: ControllerAddress = { transport: 'udp', host: '192.0.2.50', port: 5060 };
  const other: ControllerAddress = { ...hop, host: '192.0.2.51' };
  const flow: Flow = {
    transport: 'udp',
    reliable: false,
    local: { host: '192.0.2.1', port: 5060 },
    remote: hop,
    id: 'x',
    send: () => undefined,
    close: () => undefined,
  };
  const heard = (params: string): void => control.heard(via(`;branch=z9hG4bKours${params}`), flow, flow);
  /** A new request and one of a dialog in turn; how many new ones of so many may go. */
  const passed = (count: number, stepMs = 0): number => {
    let passes = 0;
    for (let n = 0; n < count; n += 1) {
      if (control.passing([hop], true).length > 0) passes += 1;
      control.passing([hop], false);
      clock.advance(stepMs);
    }
    return passes;
  };
  return { clock, metrics, control, hop, other, flow, heard, passed };
}

describe('RFC 7339 §5.4, §10: who may ask', () => {
  const asks = via(';branch=z9hG4bKours;oc=100;oc-algo="loss";oc-validity=60000;oc-seq=1.0');

  it('not one that the operator did not name: it was not told that we obey', () => {
    const { control, other, flow } = nextHop();
    const theirs = { ...flow, remote: other };
    control.heard(asks, theirs, theirs);
    expect(control.passing([other], true)).toEqual([other]);
  });

  it('nor who had another request of ours, knows its branch, and writes in the name of a hop', () => {
    const { control, hop, other, flow } = nextHop();
    control.heard(asks, flow, { ...flow, remote: other });
    control.heard(asks, flow, { ...flow, remote: { ...hop, port: 5_070 } });
    control.heard(asks, flow, undefined);
    expect(control.passing([hop], true)).toEqual([hop]);
    control.heard(asks, flow, flow);
    expect(control.passing([hop], true)).toEqual([]);
  });
});

describe('RFC 7339 §5.5: what next hops ask is obeyed', () => {
  it('§7.2: the whole reduction is taken from new requests', () => {
    const { heard, passed } = nextHop();
    heard(';oc=20;oc-algo="loss";oc-validity=60000;oc-seq=1.0');
    passed(500);
    // Half of the requests are new: two fifths of them are left out.
    const share = passed(4_000) / 4_000;
    expect(share).toBeGreaterThan(0.56);
    expect(share).toBeLessThan(0.64);
  });

  it('what belongs to a dialog always goes', () => {
    const { heard, control, hop } = nextHop();
    heard(';oc=100;oc-algo="loss";oc-validity=60000;oc-seq=1.0');
    expect(control.passing([hop], true)).toEqual([]);
    expect(control.passing([hop], false)).toEqual([hop]);
  });

  it('§5.10: the other hop gets what this one does not want', () => {
    const { heard, control, hop, other, metrics } = nextHop();
    heard(';oc=100;oc-algo="loss";oc-seq=1.0');
    expect(control.passing([hop, other], true)).toEqual([other]);
    expect(metrics.counter('sip_next_hop_overload_total', '').value).toBe(0);
  });

  it('§5.7: ends when its time is over, or when it is said', () => {
    const { heard, control, hop, clock } = nextHop();
    heard(';oc=100;oc-algo="loss";oc-validity=500;oc-seq=1.0');
    clock.advance(499);
    expect(control.passing([hop], true)).toEqual([]);
    clock.advance(1);
    expect(control.passing([hop], true)).toEqual([hop]);
    heard(';oc=100;oc-algo="loss";oc-validity=60000;oc-seq=2.0');
    expect(control.passing([hop], true)).toEqual([]);
    heard(';oc=0;oc-algo="loss";oc-validity=0;oc-seq=3.0');
    expect(control.passing([hop], true)).toEqual([hop]);
  });

  it('§4.4: a tardy response changes nothing, one that began anew does', () => {
    const { heard, control, hop } = nextHop();
    heard(';oc=100;oc-algo="loss";oc-validity=60000;oc-seq=5000.5');
    heard(';oc=0;oc-algo="loss";oc-validity=60000;oc-seq=5000.4');
    heard(';oc=0;oc-algo="loss";oc-validity=60000;oc-seq=5000.5');
    expect(control.passing([hop], true)).toEqual([]);
    heard(';oc=0;oc-algo="loss";oc-validity=60000;oc-seq=1.0');
    expect(control.passing([hop], true)).toEqual([hop]);
  });

  it('RFC 7415 §3.5: no more requests a second than it asked for, those of dialogs included', () => {
    const { heard, passed } = nextHop();
    heard(';oc=100;oc-algo="rate";oc-validity=60000;oc-seq=1.0');
    // Two requests each millisecond for ten seconds: those of dialogs alone are more than it wants.
    expect(passed(10_000, 1)).toBeLessThan(30);
  });

  it('RFC 7415: with new requests alone the rate is met', () => {
    const { heard, control, hop, clock } = nextHop();
    heard(';oc=100;oc-algo="rate";oc-validity=60000;oc-seq=1.0');
    let passes = 0;
    for (let n = 0; n < 10_000; n += 1) {
      if (control.passing([hop], true).length > 0) passes += 1;
      clock.advance(1);
    }
    expect(passes).toBeGreaterThan(980);
    expect(passes).toBeLessThan(1_010);
    heard(';oc=0;oc-algo="rate";oc-validity=60000;oc-seq=2.0');
    expect(control.passing([hop], true)).toEqual([]);
  });
});
