/** One normal form for all protocols: what the operator's country makes of a number. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DiallingPlan, NumberingPlan } from '../../src/internal.ts';

const berlin = new DiallingPlan({ country: '49', area: '30', emergency: ['112', '110'] });
const newYork = new DiallingPlan({
  country: '1',
  area: '212',
  nationalPrefix: '1',
  internationalPrefix: '011',
  emergency: ['911'],
});
const copenhagen = new DiallingPlan({ country: '45', nationalPrefix: '' });

describe('ITU-T E.164: the normal form of a number', () => {
  it.each([
    [berlin, '+49 ', '+49 ', 'asDialled'],
    [berlin, '+493012345', '+493012345', 'international'],
    [berlin, '00493012345', '+493012345', 'international'],
    [berlin, '0033123456789', '+33123456789', 'international'],
    [berlin, '03012345', '+493012345', 'national'],
    [berlin, '0(30)12-34.5', '+493012345', 'national'],
    [berlin, '12345', '+493012345', 'local'],
    [berlin, '112', '112', 'emergency'],
    [berlin, '1-1-2', '112', 'emergency'],
    [berlin, '1123', '+49301123', 'local'],
    [berlin, '0112', '+49112', 'national'],
    [berlin, '0', '+49300', 'local'],
    [berlin, '00', '+490', 'national'],
    [berlin, '*21#', '*21#', 'asDialled'],
    [berlin, 'alice', 'alice', 'asDialled'],
    [berlin, '1'.repeat(40), '1'.repeat(40), 'asDialled'],
    [berlin, '', '', 'asDialled'],
    [newYork, '5551212', '+12125551212', 'local'],
    [newYork, '18005551212', '+18005551212', 'national'],
    [newYork, '0114930123', '+4930123', 'international'],
    [newYork, '911', '911', 'emergency'],
    [copenhagen, '33123456', '+4533123456', 'national'],
    [copenhagen, '200', '200', 'asDialled'],
    [new DiallingPlan(), '03012345', '03012345', 'asDialled'],
    [new DiallingPlan(), '+4930123', '+4930123', 'international'],
  ] as const)('%#: %s is %s', (plan, dialled, number, kind) => {
    expect(plan.normal(dialled)).toEqual({ kind, number });
  });

  it('knows every form of a number', () => {
    expect(berlin.forms('03012345')).toEqual(['03012345', '+493012345', '00493012345', '12345']);
    expect(berlin.forms('+33123')).toEqual(['+33123', '0033123']);
    expect(berlin.forms('112')).toEqual(['112']);
    expect(new DiallingPlan().forms('2-00')).toEqual(['200']);
  });

  it('writes a number as a carrier wants it', () => {
    expect(berlin.written('12345', 'e164')).toBe('+493012345');
    expect(berlin.written('12345', 'digits')).toBe('493012345');
    expect(berlin.written('+493012345', 'national')).toBe('03012345');
    expect(berlin.written('+33123', 'national')).toBe('0033123');
    expect(berlin.written('+33123', 'international')).toBe('0033123');
    expect(berlin.written('12-345', 'dialled')).toBe('12345');
    expect(berlin.written('112', 'e164')).toBe('112');
  });

  it('RFC 3966 §5.1.5: our own local numbers are valid in our country and area', () => {
    for (const context of ['+49', '+4930', '+49-30', '+49(30)']) expect(berlin.isOwnContext(context)).toBe(true);
    for (const context of ['+1', '+4', '+493', '49', '', '+', 'example.com'])
      expect(berlin.isOwnContext(context)).toBe(false);
    expect(new DiallingPlan().isOwnContext('+49')).toBe(false);
  });
});

describe('properties of the plan', () => {
  const digits = (min: number, max: number) =>
    fc.array(fc.constantFrom(...'0123456789'), { minLength: min, maxLength: max }).map((all) => all.join(''));
  const plans = fc.record({
    country: fc.constantFrom('1', '49', '358'),
    area: fc.option(digits(1, 4), { nil: undefined }),
    nationalPrefix: fc.constantFrom('0', '1', ''),
    internationalPrefix: fc.constantFrom('00', '011', '810'),
    emergency: fc.constantFrom([], ['112'], ['911', '112', '15']),
  });

  it('every form of a number has the same normal form as itself, or is an emergency number', () => {
    fc.assert(
      fc.property(plans, digits(1, 12), (settings, number) => {
        const plan = new DiallingPlan(settings);
        const { number: normal, kind } = plan.normal(number);
        if (kind === 'emergency') return;
        expect(plan.normal(normal).number).toBe(normal);
        expect(plan.forms(number)).toContain(normal);
        expect(plan.forms(number)[0]).toBe(number);
      }),
    );
  });

  it('visual separators never count', () => {
    fc.assert(
      fc.property(
        plans,
        digits(2, 12),
        fc.array(fc.constantFrom('-', '.', '(', ')'), { maxLength: 6 }),
        (settings, number, marks) => {
          const plan = new DiallingPlan(settings);
          const at = number.length >> 1;
          const written = `${number.slice(0, at)}${marks.join('')}${number.slice(at)}`;
          expect(plan.normal(written)).toEqual(plan.normal(number));
          expect(plan.forms(written)).toEqual(plan.forms(number));
        },
      ),
    );
  });

  it('is total: whatever is dialled, no form throws, and an emergency number stays one', () => {
    fc.assert(
      fc.property(plans, fc.string({ maxLength: 40 }), (settings, text) => {
        const plan = new DiallingPlan(settings);
        plan.forms(text);
        plan.alternatives(text);
        for (const number of settings.emergency) {
          expect(plan.isEmergency(number)).toBe(true);
          expect(plan.normal(number)).toEqual({ kind: 'emergency', number });
          expect(plan.written(number, 'e164')).toBe(number);
        }
      }),
    );
  });

  it('what a prefix of a trunk takes can be dialled by the alternatives made for it', () => {
    const plan = new DiallingPlan({ country: '49', area: '30' });
    fc.assert(
      fc.property(digits(4, 8), (rest) => {
        const numbers = new NumberingPlan([], { extra: plan.alternatives('+') });
        for (const dialled of [`0044${rest}`, `089${rest}`, `5${rest}`])
          expect(numbers.match(`${dialled}T`)).toBe('complete');
      }),
    );
  });
});

describe('digit maps (RFC 3435 §2.1.5)', () => {
  const map = (numbers: readonly string[], options: ConstructorParameters<typeof NumberingPlan>[1]) =>
    new NumberingPlan(numbers, options).digitMap;

  it('derive from lines, users, trunks and emergency numbers together, emergency first', () => {
    expect(map(['200', '201', '3001'], { extra: berlin.alternatives('+'), emergency: ['112', '110'] })).toBe(
      '(112|110|2xx|3xxx|00x.T|0x.T|[2-9]x.T|1[02-9]x.T|11[13-9]x.T)',
    );
    expect(berlin.alternatives('0')).toEqual(['0x.T']);
    expect(berlin.alternatives('')).toEqual(['x.T']);
    expect(berlin.alternatives('+49301')).toEqual(['0049301x.T', '0301x.T', '1x.T']);
    expect(berlin.alternatives('+33')).toEqual(['0033x.T']);
    expect(new DiallingPlan().alternatives('+33')).toEqual(['33x.T']);
  });

  it('an emergency number is complete with its last digit, whatever begins like it', () => {
    const plan = new NumberingPlan(['11', '1120', '112000'], { extra: ['x.T', '1[12]', '1x.'], emergency: ['112'] });
    expect(plan.match('1')).toBe('partial');
    expect(plan.match('11')).toBe('partial');
    expect(plan.match('112')).toBe('complete');
    expect(plan.match('11T')).toBe('complete');
  });

  it('stays in a map that is too long for numbers', () => {
    expect(map(['200'], { extra: ['9'.repeat(3_000)], emergency: ['112', '911'] })).toBe(
      '(112|911|[02-8]x.T|9[02-9]x.T|91[02-9]x.T|1[02-9]x.T|11[013-9]x.T)',
    );
    expect(map([], { emergency: ['112'] })).toBe('(112|[02-9]x.T|1[02-9]x.T|11[013-9]x.T)');
  });

  it('RFC 3525 §7.1.14: nothing else could still match when an emergency number is complete, and everything else matches as before', () => {
    const number = fc.array(fc.constantFrom(...'0129'), { minLength: 1, maxLength: 7 }).map((all) => all.join(''));
    const extra = fc.subarray(['x.T', '[1-9]x.T', '1xxx', '9x.', '11[1-3]x', '0x.T', '1[12]xT', '#xx', '91x.']);
    fc.assert(
      fc.property(
        fc.array(number, { maxLength: 6 }),
        extra,
        fc.array(number, { maxLength: 20 }),
        (numbers, more, dialled) => {
          const emergency = ['112', '911'];
          const plan = new NumberingPlan(numbers, { extra: ['x.T', ...more], emergency });
          const plain = new NumberingPlan(numbers, { extra: ['x.T', ...more] });
          for (const each of emergency)
            for (const digit of '0129T') expect(plan.match(each + digit)).toBe('impossible');
          for (const each of dialled) {
            if (emergency.some((one) => each.startsWith(one) || one.startsWith(each))) continue;
            expect(plan.match(`${each}T`)).toBe(plain.match(`${each}T`));
          }
        },
      ),
    );
  });

  it('property: no alternative is complete on the way to an emergency number', () => {
    const alternative = fc.array(fc.constantFrom('0', '1', '9', 'x', '.', '[12]', '[1-9]', 'T'), {
      minLength: 1,
      maxLength: 5,
    });
    const number = fc.array(fc.constantFrom(...'019'), { minLength: 1, maxLength: 6 }).map((all) => all.join(''));
    fc.assert(
      fc.property(
        fc.array(number, { maxLength: 8 }),
        fc.array(
          alternative
            .map((all) => all.join(''))
            .filter((text) => !text.startsWith('.') && !text.slice(0, -1).includes('T')),
          { maxLength: 4 },
        ),
        (numbers, extra) => {
          const plan = new NumberingPlan(numbers, { extra, emergency: ['911', '110'] });
          for (const emergency of ['911', '110']) {
            expect(plan.match(emergency)).toBe('complete');
            for (let length = 1; length < emergency.length; length += 1)
              expect(plan.match(emergency.slice(0, length))).toBe('partial');
          }
        },
      ),
    );
  });
});
