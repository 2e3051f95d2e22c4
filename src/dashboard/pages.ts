/**
 * The dashboard's files, as a browser gets them: the page's own, and the libraries that it stands on, from their packages. Nothing is
 * fetched from elsewhere. Each file is read and compressed once, when it is first asked for; a name that is not in the list is no file.
 */
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, extname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { PageRequest, Reply } from '../admin.ts';
import { withoutTypes } from './without-types.ts';

export async function dashboardPage({ name, acceptsGzip, etag }: PageRequest): Promise<Reply | undefined> {
  const wanted = name === '' ? 'index.html' : name;
  const path = paths().get(wanted);
  if (path === undefined) return undefined;
  let file = files.get(wanted);
  if (file === undefined) {
    file = load(wanted, path);
    files.set(wanted, file);
    // What could not be read today may be there tomorrow.
    file.catch(() => files.delete(wanted));
  }
  const { type, bytes, compressed, tag } = await file;
  const headers = { ...safety, etag: tag, vary: 'accept-encoding', 'cache-control': 'no-cache' };
  if (etag?.split(/,\s*/).includes(tag) === true) return { status: 304, type, body: '', headers };
  return acceptsGzip
    ? { status: 200, type, body: compressed, headers: { ...headers, 'content-encoding': 'gzip' } }
    : { status: 200, type, body: bytes, headers };
}

/** Scripts and styles of this server alone, no form, no frame around it; and what it shows is told to nobody. */
const safety = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
} as const;

interface PageFile {
  readonly type: string;
  readonly bytes: Buffer;
  readonly compressed: Buffer;
  readonly tag: string;
}

const files = new Map<string, Promise<PageFile>>();

async function load(name: string, path: string): Promise<PageFile> {
  const type = types[extname(name)] ?? 'application/octet-stream';
  const bytes = await contentOf(path, name.startsWith('vendor/') ? '.' : './vendor');
  const tag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`;
  return { type, bytes, compressed: await compress(bytes), tag };
}

async function contentOf(path: string, vendor: string): Promise<Buffer> {
  const bytes = await readFile(path);
  if (!/\.(?:ts|m?js)$/.test(path)) return bytes;
  const text = bytes.toString('utf8');
  return Buffer.from(withPaths(path.endsWith('.ts') ? await withoutTypes(text) : text, vendor));
}

/** A browser knows no packages and no TypeScript: names become relative paths, those of packages to the folder `vendor`. */
export const withPaths = (text: string, vendor: string): string =>
  text
    .replace(/^\/\/# sourceMappingURL=.*$/gm, '')
    .replaceAll(
      /(\bfrom\s*|\bimport\s*)(["'])(preact\/hooks|preact|htm|uplot|\.\/[\w-]+\.ts)\2/g,
      (_, word: string, quote: string, name: string) =>
        `${word}${quote}${name.startsWith('./') ? name.replace(/\.ts$/, '.js') : `${vendor}/${name.replace('preact/', '')}.js`}${quote}`,
    );

const compress = promisify(gzip);

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** By the name that browsers ask for. */
function paths(): ReadonlyMap<string, string> {
  known ??= new Map([...pageFiles(), ...vendorFiles()]);
  return known;
}

let known: ReadonlyMap<string, string> | undefined;

function pageFiles(): readonly (readonly [string, string])[] {
  const folder = join(import.meta.dirname, '../dashboard/page');
  return readdirSync(folder)
    .filter((name) => /^[\w-]+\.(?:ts|js|css|html|svg)$/.test(name))
    .map((name) => [name.replace(/\.ts$/, '.js'), join(folder, name)]);
}

function vendorFiles(): readonly (readonly [string, string])[] {
  const { resolve } = createRequire(import.meta.url);
  const plots = dirname(resolve('uplot'));
  return [
    ['vendor/preact.js', resolve('preact')],
    ['vendor/hooks.js', resolve('preact/hooks')],
    ['vendor/htm.js', join(dirname(resolve('htm')), 'htm.module.js')],
    ['vendor/uplot.js', join(plots, 'uPlot.esm.js')],
    ['vendor/uplot.css', join(plots, 'uPlot.min.css')],
  ];
}
