/** A directory for the files of one test run (scenario traces, captures, certificates), removed when the process ends. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export function scratchDirectory(name: string): string {
  root ??= makeRoot();
  return mkdtempSync(join(root, `${name}-`));
}

let root: string | undefined;

function makeRoot(): string {
  const path = mkdtempSync(join(tmpdir(), 'altpath-interop-'));
  // ALTPATH_KEEP=1 leaves everything for a look afterwards.
  const { ALTPATH_KEEP } = process.env;
  if (ALTPATH_KEEP === undefined) process.on('exit', () => rmSync(path, { recursive: true, force: true }));
  return path;
}
