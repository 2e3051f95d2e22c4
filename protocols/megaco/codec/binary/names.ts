/**
 * Package items and parameters: names in text, numbers in binary (RFC 3525 Annex E and the registered packages used here).
 * A number without a name is written `x0101/x0001`, so that nothing is lost between the two encodings.
 */

/** What a package item is, by number within the package; with the parameters of events and signals. */
interface PackageNumbers {
  readonly id: number;
  readonly items: Readonly<Record<string, number>>;
  readonly parameters?: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

const hook = { strict: 1, init: 2 };
const tone = { tl: 1, dur: 2, tid: 3 };
const dtmf = {
  ...Object.fromEntries(Array.from({ length: 10 }, (_, digit) => [`d${digit}`, 0x10 + digit])),
  da: 0x1a,
  db: 0x1b,
  dc: 0x1c,
  dd: 0x1d,
  ds: 0x20,
  do: 0x21,
};
const callProgress = { dt: 0x30, rt: 0x31, bt: 0x32, ct: 0x33, sit: 0x34, wt: 0x35, prt: 0x36, cw: 0x37, cr: 0x38 };

const packages: Readonly<Record<string, PackageNumbers>> = {
  g: {
    id: 0x0001,
    items: { cause: 1, sc: 2 },
    parameters: { cause: { generalcause: 1, failurecause: 2 }, sc: { sigid: 1, meth: 2, slid: 3 } },
  },
  root: {
    id: 0x0002,
    items: {
      maxnumberofcontexts: 1,
      maxterminationspercontext: 2,
      normalmgexecutiontime: 3,
      normalmgcexecutiontime: 4,
      mgprovisionalresponsetimervalue: 5,
      mgcprovisionalresponsetimervalue: 6,
    },
  },
  tonegen: { id: 0x0003, items: { pt: 1 }, parameters: { pt: { tl: 1, ind: 2 } } },
  tonedet: { id: 0x0004, items: { std: 1, etd: 2, ltd: 3 }, parameters: { std: tone, etd: tone, ltd: tone } },
  dg: { id: 0x0005, items: dtmf },
  dd: { id: 0x0006, items: { std: 1, etd: 2, ltd: 3, ce: 4, ...dtmf }, parameters: { ce: { ds: 1, meth: 3 } } },
  cg: { id: 0x0007, items: { pt: 1, ...callProgress } },
  cd: { id: 0x0008, items: { std: 1, etd: 2, ltd: 3, ...callProgress } },
  al: {
    id: 0x0009,
    items: { ri: 2, on: 4, of: 5, fl: 6 },
    parameters: { on: hook, of: hook, fl: { mindur: 4, maxdur: 5 }, ri: { cad: 6, freq: 7 } },
  },
  ct: { id: 0x000a, items: { ct: 3, rsp: 4, cmp: 5 }, parameters: { cmp: { res: 8 } } },
  nt: {
    id: 0x000b,
    items: { dur: 1, os: 2, or: 3, netfail: 5, qualert: 6, jit: 7 },
    parameters: { netfail: { cs: 1 }, qualert: { th: 1 } },
  },
  rtp: {
    id: 0x000c,
    items: { pltrans: 1, ps: 4, pr: 5, pl: 6, jit: 7, delay: 8 },
    parameters: { pltrans: { rtppltype: 1 } },
  },
  tdmc: { id: 0x000d, items: { ec: 8, gain: 0x0a } },
  // Q.1950 expanded call progress tones: comfort, off-hook warning, negative acknowledgement, vacant number, special dial tone.
  xcg: { id: 0x0024, items: { cmft: 0x4a, roh: 0x4b, nack: 0x4c, vac: 0x4d, spec: 0x4e } },
  // H.248.23 analog display signalling.
  andisp: { id: 0x003c, items: { dwa: 1, data: 2 }, parameters: { dwa: { ddb: 1 }, data: { ddb: 1 } } },
  // H.248.14 inactivity timer.
  it: { id: 0x0045, items: { ito: 1 }, parameters: { ito: { mit: 1 } } },
  // Ours, from the private range (docs/alternate-path.md).
  alternatepath: { id: 0xa117, items: { addr: 1 } },
};

const itemNumbers = new Map<string, number>();
const itemNames = new Map<number, string>();
const parameterNumbers = new Map<string, number>();
const parameterNames = new Map<number, string>();
const packageNames = new Map<number, string>();

for (const [name, { id, items, parameters }] of Object.entries(packages)) {
  packageNames.set(id, name);
  for (const [item, number] of Object.entries(items)) {
    const code = id * 65_536 + number;
    itemNumbers.set(`${name}/${item}`, code);
    itemNames.set(code, `${name}/${item}`);
    for (const [parameter, parameterNumber] of Object.entries(parameters?.[item] ?? {})) {
      parameterNumbers.set(`${name}/${item} ${parameter}`, parameterNumber);
      parameterNames.set(code * 65_536 + parameterNumber, parameter);
    }
  }
}

const hex = (number: number): string => `x${number.toString(16).padStart(4, '0')}`;

/** What a name that is none is encoded as: an id of nobody. */
const unknown = 0x7fff;

const fromHex = (name: string): number | undefined =>
  /^x[0-9a-f]{4}$/.test(name) ? Number.parseInt(name.slice(1), 16) : undefined;

/** PkgdName → `al/of`; 0xFFFF is the wildcard (Annex A.2). */
export function itemName(code: number): string {
  const name = itemNames.get(code);
  if (name !== undefined) return name;
  const id = Math.floor(code / 65_536);
  const item = code % 65_536;
  const packageName = id === 0xffff ? '*' : (packageNames.get(id) ?? hex(id));
  return `${packageName}/${item === 0xffff ? '*' : hex(item)}`;
}

export function itemNumber(name: string): number {
  const code = itemNumbers.get(name);
  if (code !== undefined) return code;
  const slash = name.indexOf('/');
  const item = name.slice(slash + 1);
  return packageNumber(name.slice(0, slash)) * 65_536 + (item === '*' ? 0xffff : (fromHex(item) ?? unknown));
}

export const packageName = (id: number): string => packageNames.get(id) ?? hex(id);

export const packageNumber = (name: string): number =>
  name === '*' ? 0xffff : (packages[name]?.id ?? fromHex(name) ?? unknown);

/** A parameter's number means something within its event or signal only. */
export const parameterName = (item: string, id: number): string =>
  parameterNames.get((itemNumbers.get(item) ?? 0) * 65_536 + id) ?? hex(id);

export const parameterNumber = (item: string, name: string): number =>
  parameterNumbers.get(`${item} ${name}`) ?? fromHex(name) ?? unknown;

/** Names of digit maps are two octets: `dm0`, `dm1` … */
export const digitMapName = (id: number): string => `dm${id}`;

export function digitMapNumber(name: string): number {
  const digits = /(\d{1,5})$/.exec(name)?.[1];
  return digits === undefined ? 0 : Number(digits) & 0xffff;
}
