/** The dashboard's files as the admin server gives them out: what a browser may do with them, and what is no file. */
import { request } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { type AdminServer, type AdminView, startAdmin } from '../../src/admin.ts';
import { Attachment } from '../../src/admin-page.ts';
import { dashboardPage, withPaths } from '../../src/dashboard/pages.ts';
import { withoutTypes } from '../../src/dashboard/without-types.ts';
import { Metrics, silentLog } from '../../src/internal.ts';

const servers: AdminServer[] = [];
afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())));

async function serve(own: Partial<AdminView> = {}, token?: string): Promise<AdminServer> {
  const view: AdminView = {
    metrics: new Metrics(),
    log: silentLog,
    state: () => 'ready',
    status: () => ({}),
    calls: () => [],
    peers: () => [],
    registrations: () => [],
    explain: () => ({}),
    drain: () => undefined,
    pages: dashboardPage,
    ...own,
  };
  const server = await startAdmin({ host: '127.0.0.1', port: 0 }, view, token);
  servers.push(server);
  return server;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly bytes: Buffer;
}

const ask = ({ address }: AdminServer, path: string, headers: Record<string, string> = {}, method = 'GET') =>
  new Promise<Answer>((resolve, reject) => {
    const asking = request({ ...address, path, method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, bytes: Buffer.concat(chunks) }),
      );
    });
    asking.on('error', reject);
    asking.end();
  });

/** What the page loads, from the page itself on. */
async function everyFile(server: AdminServer): Promise<ReadonlyMap<string, Answer>> {
  const found = new Map<string, Answer>();
  const asked = new Set<string>();
  const visit = async (path: string): Promise<void> => {
    if (asked.has(path)) return;
    asked.add(path);
    const answer = await ask(server, path);
    found.set(path, answer);
    const text = answer.bytes.toString();
    const names = path.endsWith('/')
      ? [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, name = '']) => name)
      : [...text.matchAll(/(?:from\s*|import\s*)["'](\.[^"']+)["']/g)].map(([, name = '']) => name);
    await Promise.all(names.map((name) => visit(new URL(name, `http://here${path}`).pathname)));
  };
  await visit('/dashboard/');
  return found;
}

describe('the dashboard at the admin server', () => {
  it('is complete: every file that a file names is there, as JavaScript without types, and nothing comes from elsewhere', async () => {
    const files = await everyFile(await serve());
    expect([...files].filter(([, { status }]) => status !== 200).map(([path]) => path)).toEqual([]);
    expect([...files.keys()]).toEqual(
      expect.arrayContaining(['/dashboard/main.js', '/dashboard/vendor/preact.js', '/dashboard/vendor/uplot.js']),
    );
    expect(files.size).toBeGreaterThan(20);
    for (const [path, { bytes, headers }] of files) {
      const text = bytes.toString();
      if (path.endsWith('.js')) {
        expect(headers['content-type'], path).toBe('text/javascript; charset=utf-8');
        expect(text, path).not.toMatch(/^import type |\bfrom\s*["'][a-z]/m);
      }
      if (!path.includes('/vendor/') && !path.endsWith('.svg')) expect(text, path).not.toMatch(/https?:\/\//);
    }
  });

  it('allows its own scripts alone: no inline script, no style attribute, no form, no frame', async () => {
    const { headers, bytes } = await ask(await serve(), '/dashboard/');
    const policy = String(headers['content-security-policy']);
    for (const rule of [
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "frame-ancestors 'none'",
      "form-action 'none'",
    ])
      expect(policy).toContain(rule);
    expect(policy).not.toContain('unsafe');
    expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' });
    const text = bytes.toString();
    expect(text).not.toMatch(/<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=/);
  });

  it('is found from the root, by a relative address', async () => {
    const server = await serve();
    expect(await ask(server, '/')).toMatchObject({ status: 302, headers: { location: 'dashboard/' } });
    expect(await ask(server, '/dashboard')).toMatchObject({ status: 302 });
  });

  it('comes compressed to who asks for that, and not again to who has it', async () => {
    const server = await serve();
    const plain = await ask(server, '/dashboard/vendor/uplot.js');
    const packed = await ask(server, '/dashboard/vendor/uplot.js', { 'accept-encoding': 'br, gzip' });
    expect(packed.headers).toMatchObject({ 'content-encoding': 'gzip', vary: 'accept-encoding' });
    expect(packed.bytes.length).toBeLessThan(plain.bytes.length / 2);
    expect(gunzipSync(packed.bytes).equals(plain.bytes)).toBe(true);
    const etag = String(plain.headers['etag']);
    const again = await ask(server, '/dashboard/vendor/uplot.js', { 'if-none-match': etag });
    expect(again).toMatchObject({ status: 304, headers: { etag } });
    expect(again.bytes.length).toBe(0);
    expect((await ask(server, '/dashboard/', {}, 'HEAD')).bytes.length).toBe(0);
  });

  it.each([
    '/dashboard/nothing.js',
    '/dashboard/../package.json',
    '/dashboard/..%2fpackage.json',
    '/dashboard/%2e%2e/pages.ts',
    '/dashboard/vendor/../../pages.ts',
    '/dashboard//etc/passwd',
    '/dashboard/tsconfig.json',
    '/dashboard/main.ts',
    '/dashboard/constructor',
    '/dashboard/vendor/',
    '/dashboardx/',
  ])('has no %s', async (path) => {
    expect((await ask(await serve(), path)).status).toBe(404);
  });

  it('shows its files to everybody and data to nobody who may not have it', async () => {
    const server = await serve({}, 'a-token-of-16-octets');
    const foreign = { host: 'evil.example' };
    expect((await ask(server, '/dashboard/', foreign)).status).toBe(200);
    expect((await ask(server, '/calls', foreign)).status).toBe(401);
    expect(JSON.parse((await ask(server, '/access', foreign)).bytes.toString())).toEqual({
      read: false,
      order: false,
      token: 'missing',
    });
  });
});

describe('/access: what may be done, before it is tried', () => {
  const access = async (server: AdminServer, headers: Record<string, string> = {}): Promise<unknown> =>
    JSON.parse((await ask(server, '/access', headers)).bytes.toString());

  it('without a token: all on this machine', async () => {
    expect(await access(await serve())).toEqual({ read: true, order: true, token: 'none' });
  });

  it('with one: reading on this machine, orders with the token alone', async () => {
    const server = await serve({}, 'a-token-of-16-octets');
    expect(await access(server)).toEqual({ read: true, order: false, token: 'missing' });
    expect(await access(server, { authorization: 'Bearer wrong' })).toEqual({
      read: true,
      order: false,
      token: 'wrong',
    });
    const right = { authorization: 'Bearer a-token-of-16-octets' };
    expect(await access(server, right)).toEqual({ read: true, order: true, token: 'right' });
    expect(await access(server, { ...right, host: 'altpath.example' })).toEqual({
      read: true,
      order: true,
      token: 'right',
    });
  });

  it('says of a page of another site that it may not do anything here', async () => {
    expect(await access(await serve(), { host: 'evil.example' })).toEqual({ read: false, order: false, token: 'none' });
  });
});

it('a list may be a file: its name and type are said, and browsers do not guess', async () => {
  const server = await serve({
    lists: { '/file': () => new Attachment('application/x-test', 'a.bin', Buffer.from([0, 255, 13, 10])) },
  });
  const { headers, bytes } = await ask(server, '/file');
  expect(headers).toMatchObject({
    'content-type': 'application/x-test',
    'content-disposition': 'attachment; filename="a.bin"',
    'x-content-type-options': 'nosniff',
  });
  expect([...bytes]).toEqual([0, 255, 13, 10]);
});

describe('what a browser does not know', () => {
  it('names of packages become paths', () => {
    const text = `import { h } from 'preact';\nimport{options as n}from"preact/hooks";import './a-b.ts';\nimport u from 'uplot';`;
    expect(withPaths(text, './vendor')).toBe(
      `import { h } from './vendor/preact.js';\nimport{options as n}from"./vendor/hooks.js";import './a-b.js';\nimport u from './vendor/uplot.js';`,
    );
  });

  it('types are taken out', async () => {
    expect(await withoutTypes('export const a = (b: number): string => String(b as unknown);')).toMatch(
      /^export const a = \(b\s*\)\s*=> String\(b\s*\);$/,
    );
    await expect(withoutTypes('export const = ;')).rejects.toThrow();
  });
});
