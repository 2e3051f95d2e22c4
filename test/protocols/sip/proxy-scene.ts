/** A proxy between a caller and a callee, and a domain of its own: what the tests of the proxy play on. */
import { afterEach, expect } from 'vitest';
import { type Peer, request, SipWorld, type SipWorldOptions, statusOf } from './world.ts';

let open: SipWorld | undefined;

afterEach(async () => {
  await open?.down();
  open = undefined;
});

export interface Scene {
  readonly world: SipWorld;
  readonly caller: Peer;
  readonly callee: Peer;
}

export async function scene(options: SipWorldOptions = {}): Promise<Scene> {
  const world = await SipWorld.up(options);
  open = world;
  return { world, caller: await world.peer('127.0.0.9:5062'), callee: await world.peer('127.0.0.20:5070') };
}

/** A domain of ours in which bob has these contacts. */
export async function usrloc(
  contacts: readonly string[],
  config: Readonly<Record<string, unknown>> = {},
): Promise<Scene> {
  const made = await scene({ config: { domains: ['biloxi.example'], ...config } });
  for (const [index, contact] of contacts.entries()) {
    made.caller.send(
      request('REGISTER', {
        uri: 'sip:biloxi.example',
        to: '<sip:bob@biloxi.example>',
        from: '<sip:bob@biloxi.example>;tag=r',
        callId: `register-${index}`,
        branch: `z9hG4bKregister${index}`,
        fields: `Contact: ${contact}\r\n`,
      }),
    );
    await made.world.run();
    expect(statusOf(made.caller.last)).toBe(200);
  }
  made.caller.take();
  made.world.sent.length = 0;
  return made;
}

/** The memory network looks at names only; the schema wants files. */
export const certs = new URL('../../support/certs/', import.meta.url).pathname;
export const tls = { certFile: `${certs}server-cert.pem`, keyFile: `${certs}server-key.pem` };

export const toBob = { uri: 'sip:bob@biloxi.example' };
