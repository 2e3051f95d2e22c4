/** A call that a member began and did not finish goes on as that member's, whoever else is dead (RFC 3261 §17.2.3: branch and sent-by). */
import { afterEach, describe, expect, it } from 'vitest';
import { crossingCallId } from '../../../../src/calls/call-ids.ts';
import { lineSdp, proxyHost, Rig } from './rig.ts';

let rig: Rig;

afterEach(async () => {
  await rig.stop();
});

const member = (host: string) => ({ transport: 'udp', host, port: 5_060 }) as const;
const members = ['127.0.0.7', '127.0.0.8', '127.0.0.9'];

/** The line 300 had dialled 7001 and heard nothing yet. Returns the host in the Via of the INVITE that the telephone gets. */
async function takenOverFrom(formerHost: string | undefined): Promise<string | undefined> {
  rig = await Rig.up({}, undefined, undefined, false, members.map(member));
  rig.peer.request('REGISTER', {
    uri: 'sip:example.com',
    to: '<sip:7001@example.com>',
    callId: 'registration',
    fields: 'Expires: 3600\r\n',
  });
  await rig.run(10);
  const callId = crossingCallId('0011223344556677', '7001');
  rig.callControl.recovery.report({
    protocol: 'line',
    snapshots: [
      {
        endpoint: '300',
        hook: 'off',
        tone: undefined,
        collecting: false,
        state: 'offering',
        media: [{ callId, mode: 'receive', local: lineSdp, remote: undefined }],
      },
    ],
    isOurs: () => true,
    adopt: () => undefined,
    restoreLine: () => undefined,
    formerHost: () => formerHost,
  });
  await rig.run(50);
  return rig.peer.requests('INVITE')[0]?.via.host;
}

describe('three members, and the INVITE of one of them again', () => {
  it.each(members)('it was that of %s', async (host) => {
    expect(await takenOverFrom(host)).toBe(host);
  });

  it('of our own earlier life: as ours', async () => {
    expect(await takenOverFrom(proxyHost)).toBe(proxyHost);
  });
});
