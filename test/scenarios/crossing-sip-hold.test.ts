import { afterEach, describe, expect, it } from 'vitest';
import type { Dialog, SimPhone } from '../support/sip-ua.ts';
import { CrossingWorld, sipDomain } from './crossing-world.ts';

/** RFC 3264 §8: what a SIP telephone changes in mid-call is what the line's gateway does; what is refused changes nothing. */
let world: CrossingWorld;

afterEach(async () => {
  await world.stop();
});

async function talking(line: string): Promise<{ readonly phone: SimPhone; readonly dialog: Dialog }> {
  world = await CrossingWorld.up({ sip: {} });
  const phone = await world.phone('7001', '127.0.0.31');
  const callId = phone.call(`sip:${line}@${sipDomain}`);
  await world.run(500);
  world.telephone(line).offHook();
  await world.run(500);
  const dialog = phone.dialog(callId);
  if (dialog?.state !== 'confirmed') throw new Error('no call');
  return { phone, dialog };
}

const sdp = (version: number, port: number, direction: string, codec = 0): string =>
  `v=0\r\no=- 1 ${version} IN IP4 127.0.0.31\r\ns=-\r\nc=IN IP4 127.0.0.31\r\nt=0 0\r\nm=audio ${port} RTP/AVP ${codec}\r\na=${direction}\r\n`;

async function offer({ phone, dialog }: { phone: SimPhone; dialog: Dialog }, body: string): Promise<string> {
  let answer = '';
  phone.inDialog(
    dialog,
    'INVITE',
    (status, response) => {
      answer = `${status} ${/^a=(sendrecv|sendonly|recvonly|inactive)/m.exec(response?.body ?? '')?.[1] ?? 'sendrecv'}`;
    },
    '',
    body,
  );
  await world.run(500);
  return answer;
}

for (const line of ['200', '300']) {
  describe(`line ${line}`, () => {
    it('is held and comes back ten times, with another port each time', async () => {
      const call = await talking(line);
      for (let turn = 0; turn < 10; turn += 1) {
        expect(await offer(call, sdp(10 + 2 * turn, 41_000 + 2 * turn, 'sendonly'))).toBe('200 recvonly');
        expect(world.telephone(line).media().sendsTo).toBeUndefined();
        expect(await offer(call, sdp(11 + 2 * turn, 42_000 + 2 * turn, 'sendrecv'))).toBe('200 sendrecv');
        expect(world.telephone(line).media().sendsTo).toBe(`127.0.0.31:${42_000 + 2 * turn}`);
      }
      call.phone.bye(call.dialog);
      await world.run(500);
      expect(call.phone.complaints).toEqual([]);
    });

    it('is told what it is to send where the telephone only receives, or neither does', async () => {
      const call = await talking(line);
      expect(await offer(call, sdp(2, 40_000, 'recvonly'))).toBe('200 sendonly');
      expect(await offer(call, sdp(3, 40_000, 'inactive'))).toBe('200 inactive');
      expect(await offer(call, sdp(4, 40_000, 'sendrecv'))).toBe('200 sendrecv');
    });

    it('refuses what it has no codec for with 488, and the call goes on', async () => {
      const call = await talking(line);
      const before = world.telephone(line).media();
      expect(await offer(call, sdp(2, 43_000, 'sendrecv', 4))).toMatch(/^488/);
      expect(world.telephone(line).media()).toEqual(before);
      expect(await offer(call, sdp(3, 44_000, 'sendrecv'))).toBe('200 sendrecv');
      world.telephone(line).onHook();
      await world.run(500);
      expect(call.phone.served).toContain('BYE');
    });
  });
}
