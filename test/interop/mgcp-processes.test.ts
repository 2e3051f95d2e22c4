/** Whole programs on real sockets: a call agent, and the gateway command driven by a script. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Child, stopAll } from './support/child.ts';
import { freeHost } from './support/hosts.ts';
import { scratchDirectory } from './support/scratch.ts';

const main = new URL('../../src/main.ts', import.meta.url).pathname;

describe('MGCP call agents and gateways as processes', () => {
  afterEach(stopAll);

  it('two lines of one gateway call each other by a script', async () => {
    const agentHost = await freeHost(2727);
    const gatewayHost = await freeHost(2427);
    const agent = new Child('altpath mgcp', process.execPath, [
      main,
      'mgcp',
      '--listen',
      agentHost,
      '--gateway',
      `rgw1=${gatewayHost}:2427`,
      '--line',
      '200=aaln/1@rgw1',
      '--line',
      '201=aaln/2@rgw1',
      '--log-format',
      'json',
    ]);
    await agent.waitForOutput(/ready/, 15_000);
    const script = join(scratchDirectory('mgcp-script'), 'call.txt');
    writeFileSync(
      script,
      [
        'until 1 idle',
        'offhook 1',
        'until 1 hears L/dl',
        'dial 1 201',
        'until 2 hears L/rg',
        'offhook 2',
        'until 1 talking',
        'until 2 talking',
        'show',
        'onhook 2',
        'until 1 hears L/bz',
        'onhook 1',
        'until 1 idle',
        'until 2 idle',
      ].join('\n'),
    );
    const gateway = new Child('altpath gateway mgcp', process.execPath, [
      main,
      'gateway',
      'mgcp',
      '--name',
      'rgw1',
      '--listen',
      gatewayHost,
      '--call-agent',
      agentHost,
      '--script',
      script,
      '--json',
    ]);
    const { code } = await gateway.waitForExit(30_000);
    expect(gateway.output).toContain('"mode":"sendrecv"');
    expect(gateway.output).not.toContain('"error"');
    expect(code).toBe(0);
    expect((await agent.stop('SIGTERM')).code).toBe(0);
  });

  it('a port in use is one clear line and exit code 1', async () => {
    const host = await freeHost(2727);
    const first = new Child('altpath mgcp', process.execPath, [main, 'mgcp', '--listen', host, '--log-format', 'json']);
    await first.waitForOutput(/ready/, 15_000);
    const second = new Child('altpath mgcp', process.execPath, [
      main,
      'mgcp',
      '--listen',
      host,
      '--log-format',
      'json',
    ]);
    expect((await second.waitForExit(15_000)).code).toBe(1);
    expect(second.output).toMatch(/in use/);
  });
});
