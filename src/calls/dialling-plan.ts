/**
 * What the operator's country makes of a number: the prefixes with which numbers are dialled, and one normal form for all protocols
 * (ITU-T E.164: the dialling plan is the way in which a numbering plan is used). Emergency numbers are never taken for anything else.
 */

export interface DiallingPlanSettings {
  /** Country code, `49`; without it numbers stay as they are dialled. */
  readonly country?: string | undefined;
  /** What local numbers lack: the area code `30`, or with it the first digits of a private exchange, `305550`. */
  readonly area?: string | undefined;
  /** Dialled before an area code: `0`; empty where numbers have none. */
  readonly nationalPrefix?: string | undefined;
  /** Dialled before a country code: `00`, `011`. */
  readonly internationalPrefix?: string | undefined;
  readonly emergency?: readonly string[] | undefined;
}

/** What a number is taken for. */
export type NumberKind = 'emergency' | 'international' | 'national' | 'local' | 'asDialled';

export interface NormalNumber {
  readonly kind: NumberKind;
  /** `+4930123`, or the digits as they were dialled where they are no E.164 number. */
  readonly number: string;
}

export class DiallingPlan {
  readonly emergency: readonly string[];
  readonly #emergency: ReadonlySet<string>;
  readonly #country: string | undefined;
  readonly #area: string | undefined;
  readonly #national: string;
  readonly #international: string;

  constructor(settings: DiallingPlanSettings = {}) {
    this.emergency = settings.emergency ?? [];
    this.#emergency = new Set(this.emergency);
    this.#country = settings.country;
    this.#area = settings.area;
    this.#national = settings.nationalPrefix ?? '0';
    this.#international = settings.internationalPrefix ?? '00';
  }

  /** Has a number more than one form? */
  get knowsCountry(): boolean {
    return this.#country !== undefined;
  }

  /** Exactly one of them, visual separators apart; nothing that merely begins so. */
  isEmergency(number: string): boolean {
    return this.#emergency.size > 0 && this.#emergency.has(plainNumber(number) ?? number);
  }

  normal(text: string): NormalNumber {
    const number = plainNumber(text) ?? text;
    if (this.#emergency.has(number)) return { kind: 'emergency', number };
    const asDialled = { kind: 'asDialled', number } as const;
    if (/^\+[0-9]{1,15}$/.test(number)) return { kind: 'international', number };
    const country = this.#country;
    if (country === undefined || !/^[0-9]+$/.test(number)) return asDialled;
    const e164 = (kind: NumberKind, digits: string): NormalNumber =>
      digits.length > maxE164 || digits.startsWith('0') ? asDialled : { kind, number: `+${digits}` };
    if (begins(number, this.#international)) return e164('international', number.slice(this.#international.length));
    if (begins(number, this.#national)) return e164('national', country + number.slice(this.#national.length));
    if (this.#area !== undefined) return e164('local', country + this.#area + number);
    return this.#national === '' && number.length >= shortestNational ? e164('national', country + number) : asDialled;
  }

  /** Every form in which the number may be known, the one as it was dialled first, then the normal one. */
  forms(text: string): readonly string[] {
    const dialled = plainNumber(text) ?? text;
    const { kind, number } = this.normal(dialled);
    if (kind === 'emergency' || !number.startsWith('+')) return [dialled];
    const country = this.#country;
    if (country === undefined) return number === dialled ? [dialled] : [dialled, number];
    const forms = [dialled, number, this.#international + number.slice(1)];
    if (begins(number, `+${country}`)) {
      const significant = number.slice(1 + country.length);
      forms.push(this.#national + significant);
      if (this.#area !== undefined && begins(significant, this.#area)) forms.push(significant.slice(this.#area.length));
    }
    return [...new Set(forms)];
  }

  /** A number as a carrier may want it. */
  written(text: string, format: NumberFormat): string {
    const dialled = plainNumber(text) ?? text;
    const { kind, number } = this.normal(dialled);
    if (format === 'dialled' || kind === 'emergency' || !number.startsWith('+')) return dialled;
    if (format === 'digits') return number.slice(1);
    const country = this.#country;
    if (format === 'national' && country !== undefined && begins(number, `+${country}`))
      return this.#national + number.slice(1 + country.length);
    return format === 'e164' ? number : this.#international + number.slice(1);
  }

  /**
   * Digit map alternatives by which a subscriber dials what begins with this prefix of a normal form (`+`, `+49`, `0`, ''), in every form
   * that the plan gives it. They end with a pause: how long such numbers are, nobody knows (RFC 3435 §2.1.5).
   */
  alternatives(prefix: string): readonly string[] {
    if (prefix === '') return ['x.T'];
    if (!prefix.startsWith('+')) return [`${prefix}x.T`];
    const country = this.#country;
    const digits = prefix.slice(1);
    if (country === undefined) return digits === '' ? ['x.T'] : [`${digits}x.T`];
    const found = [`${this.#international}${digits}x.T`];
    // `+`, `+4` and `+49` all lead to numbers of the country, `+493` to some of them.
    const rest = digits.startsWith(country)
      ? digits.slice(country.length)
      : country.startsWith(digits)
        ? ''
        : undefined;
    if (rest === undefined) return found;
    if (this.#national !== '' || this.#area === undefined) found.push(`${this.#national}${rest}x.T`);
    const area = this.#area;
    if (area !== undefined) {
      if (rest.startsWith(area) && rest !== area) found.push(`${rest.slice(area.length)}x.T`);
      else if (area.startsWith(rest)) found.push(this.#national === '' ? 'x.T' : `[${others(this.#national)}]x.T`);
    }
    return found;
  }

  /** Is a number context of a `tel` URI (RFC 3966 §5.1.5: `+49`, `+49-30`) the one in which our own local numbers are valid? */
  isOwnContext(context: string): boolean {
    const digits = plainNumber(context);
    const country = this.#country;
    if (digits === undefined || country === undefined || !begins(digits, '+')) return false;
    return digits === `+${country}` || digits === `+${country}${this.#area ?? ''}`;
  }
}

/** `+4930123`, `004930123`, `030123`, `4930123`, or as it was dialled. */
export const numberFormats = ['e164', 'international', 'national', 'digits', 'dialled'] as const;

export type NumberFormat = (typeof numberFormats)[number];

/** A number without visual separators: `+49(30)-12.3` is `+4930123`; undefined for what is no number. */
export function plainNumber(text: string): string | undefined {
  const digits = text.replace(/[-.()]/g, '');
  return /^\+?[0-9A-Fa-f*#]+$/.test(digits) ? digits : undefined;
}

/** Longer than the prefix, and with it. */
const begins = (number: string, prefix: string): boolean =>
  prefix !== '' && number.length > prefix.length && number.startsWith(prefix);

/** The digits that a number may begin with if not with this. */
const others = (prefix: string): string => [...'0123456789'].filter((digit) => digit !== prefix[0]).join('');

/** Digits, without the plus. */
const maxE164 = 15;

/** Without a national prefix, what is shorter is a short number of its own. */
const shortestNational = 6;
