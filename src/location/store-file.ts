/** The file of a location store as the operating system sees it: for its owner alone, and out of the way once it is damaged. */
import { chmodSync, closeSync, openSync, renameSync, statSync } from 'node:fs';

/** SQLite keeps its log and its index beside the file, with the file's mode. */
const companions = ['', '-wal', '-shm'] as const;

/** Mode 600: who is where, and by which address, is the subscribers' secret. A file of somebody else keeps the mode it has. */
export function makePrivate(path: string): void {
  // Before SQLite would make it by the umask. One that exists is not opened: closing it would end SQLite's locks in this process.
  if (inodeOf(path) === undefined) create(path);
  for (const companion of companions) restrict(path + companion);
}

function create(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    // Another process was faster.
    if (inodeOf(path) === undefined) throw error;
  }
}

function restrict(file: string): void {
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats === undefined || (stats.mode & 0o077) === 0) return;
  if (stats.uid === process.getuid?.()) chmodSync(file, 0o600);
}

/** The number of the file at this path; undefined where there is none. */
export const inodeOf = (path: string): bigint | undefined =>
  statSync(path, { bigint: true, throwIfNoEntry: false })?.ino;

/**
 * Renames the damaged file, with its companions, to `…corrupt-<time>` and says to what; undefined where the file at the path is
 * another one by now: a partner that shares it was faster.
 */
export function setAside(path: string, inode: bigint, wallMs: number): string | undefined {
  if (inodeOf(path) !== inode) return undefined;
  const time = new Date(wallMs).toISOString().replace(/[-:]|\.\d+/g, '');
  let aside = `${path}.corrupt-${time}`;
  for (let copy = 2; inodeOf(aside) !== undefined; copy += 1) aside = `${path}.corrupt-${time}-${copy}`;
  for (const companion of companions)
    if (inodeOf(path + companion) !== undefined) renameSync(path + companion, aside + companion);
  return aside;
}
