/** Finds the programs that interop tests and benchmarks drive, and says in one sentence which package brings what is missing. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Debian's names; other distributions differ a little. */
const debianPackage = {
  sipp: 'sip-tester',
  baresip: 'baresip-core',
  kamailio: 'kamailio',
  kamcmd: 'kamailio',
  tshark: 'tshark',
  dumpcap: 'wireshark-common',
  openssl: 'openssl',
  keepalived: 'keepalived',
  'redis-server': 'redis-server',
  'redis-cli': 'redis-tools',
  ip: 'iproute2',
  python3: 'python3',
  chromium: 'chromium',
  mmdebstrap: 'mmdebstrap',
  'dpkg-deb': 'dpkg',
  unshare: 'util-linux',
  chroot: 'coreutils',
} as const;

export type ProgramName = keyof typeof debianPackage;

/** The program's path, or undefined. The daemons' directories are not on every user's PATH. */
export function findProgram(name: ProgramName): string | undefined {
  const { PATH = '' } = process.env;
  const directories = [...PATH.split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return directories.map((directory) => join(directory, name)).find(isExecutable);
}

/** As findProgram, for use behind a check with `missing`. @throws Error with the sentence that `missing` gives. */
export function program(name: ProgramName): string {
  const path = findProgram(name);
  if (path === undefined) throw new Error(missing(name));
  return path;
}

/** Why a test that needs these programs has to be skipped, or undefined when all of them are there. */
export function missing(...names: readonly ProgramName[]): string | undefined {
  const absent = names.filter((name) => findProgram(name) === undefined);
  if (absent.length === 0) return undefined;
  const packages = [...new Set(absent.map((name) => debianPackage[name]))];
  return `${absent.join(', ')} not found: apt-get install --no-install-recommends ${packages.join(' ')}`;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
