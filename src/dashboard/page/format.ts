/** Numbers, times and addresses as a person reads them. Pure: `nowMs` is given. */

/** `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`. */
export function duration(ms: number): string {
  if (!Number.isFinite(ms)) return '';
  const seconds = Math.max(0, ms) / 1_000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 120) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** In one unit, for narrow places: `12 s`, `3 min`, `2 h`, `4 d`. */
export function shortDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 100) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 100) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} d`;
}

/** `just now`, `12 s ago`, `in 40 s`. */
export function age(wallMs: number, nowMs: number): string {
  const ms = nowMs - wallMs;
  if (ms < -1_500) return `in ${shortDuration(-ms)}`;
  return ms < 1_500 ? 'just now' : `${shortDuration(ms)} ago`;
}

/** `09:05:07`, by the reader's own clock; with milliseconds where asked for. */
export function clockTime(wallMs: number, withMs = false): string {
  const date = new Date(wallMs);
  const two = (value: number): string => String(value).padStart(2, '0');
  const text = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return withMs ? `${text}.${String(date.getMilliseconds()).padStart(3, '0')}` : text;
}

/** `today` is left out: `09:05:07`, `27 Nov 09:05`. */
export function moment(wallMs: number, nowMs: number): string {
  const [then, now] = [new Date(wallMs), new Date(nowMs)];
  if (then.toDateString() === now.toDateString()) return clockTime(wallMs);
  return `${then.getDate()} ${months[then.getMonth()] ?? ''} ${clockTime(wallMs).slice(0, 5)}`;
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `1,204`; `0.4` below ten where there is a fraction. */
export function count(value: number): string {
  const rounded = value < 10 ? Math.round(value * 10) / 10 : Math.round(value);
  const [whole = '', fraction] = String(rounded).split('.');
  return `${whole.replaceAll(/\B(?=(\d{3})+$)/g, ',')}${fraction === undefined ? '' : `.${fraction}`}`;
}

/** `7.4 ms`, `120 ms`, `2.5 s`. */
export function delay(ms: number): string {
  if (ms < 10) return `${Math.round(ms * 10) / 10} ms`;
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${Math.round(ms / 100) / 10} s`;
}

export const megabytes = (bytes: number): string => `${count(bytes / 1_048_576)} MB`;

/** `alice@example.com` of `sip:alice@example.com;user=phone`; what is not known is a question mark. */
export function party(uri: string | undefined): string {
  if (uri === undefined || uri === '') return '?';
  const bare = uri.replace(/^[a-z]+:/, '').split(';')[0] ?? uri;
  return plain(bare);
}

/** The part of an address that tells it from others: `127.0.0.1:5060` of `udp:127.0.0.1:5060`. */
export const bareAddress = (address: string): string => address.replace(/^(?:udp|tcp|tls|wss?):(?!\d+$)/, '');

/** The host of an address, with or without transport and port. */
export function hostOf(address: string): string {
  const bare = bareAddress(address);
  const bracketed = /^\[([^\]]+)\]/.exec(bare)?.[1];
  return bracketed ?? bare.replace(/:\d+$/, '');
}

/** Peers write what they like: nothing of it may move the cursor or turn the direction of the text. */
export const plain = (text: string): string => text.replaceAll(/[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '?');

export const cut = (text: string, length: number): string => {
  const letters = [...text];
  return letters.length <= length ? text : `${letters.slice(0, Math.max(1, length - 1)).join('')}…`;
};
