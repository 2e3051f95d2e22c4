import { createMegacoAdapter } from '../../../protocols/megaco/adapter.ts';
import { encodeBinary } from '../../../protocols/megaco/codec/binary/encode.ts';
import { TerminationNaming } from '../../../protocols/megaco/codec/binary/termination-naming.ts';
import { withTpkt } from '../../../protocols/megaco/codec/framing.ts';
import type { MegacoMessage } from '../../../protocols/megaco/codec/messages.ts';
import { decodeText } from '../../../protocols/megaco/codec/text/decode.ts';
import type { ControllerAddress } from '../../../src/internal.ts';
import { examineAdapter } from '../../contract/protocol-adapter.contract.ts';

const udp = (host: string, port = 2944): ControllerAddress => ({ transport: 'udp', host, port });

const read = (text: string): MegacoMessage => {
  const decoded = decodeText(Buffer.from(text));
  if (!decoded.ok) throw new Error(decoded.error.reason);
  return decoded.value;
};

const naming = new TerminationNaming();

for (const [name, write] of [
  ['text', (text: string) => Buffer.from(text)],
  ['binary', (text: string) => encodeBinary(read(text), naming)],
] as const)
  examineAdapter(`megaco ${name}`, () => ({
    adapter: createMegacoAdapter({ mId: () => '[127.0.0.1]:2944' }),
    exchanges: [
      {
        request: write('!/1 gw1 T=10{C=-{N=aaln/1{OE=1{20260101T00000000:al/of}}}}'),
        responses: [write('!/1 [127.0.0.1]:2944 PN=10{}'), write('!/1 [127.0.0.1]:2944 P=10{C=-{N=aaln/1}}')],
      },
      {
        request: write(
          '!/1 [127.0.0.1]:2944 T=11{C=5{A=aaln/1{SG{cg/dt}},A=$ {M{ST=1{O{MO=RC},L{v=0\nc=IN IP4 $\n}}}}}}',
        ),
        responses: [write('!/1 gw1 P=11{IA,C=7{A=aaln/1,A=rtp/1{M{ST=1{L{v=0\nc=IN IP4 127.0.0.9\n}}}}}}')],
      },
    ],
    events: [write('!/1 gw1 K{11}'), write('!/1 gw1 ER=400{"no"}')],
    garbage: [Buffer.from('HELLO'), Buffer.from([0x30, 0x03, 0xa1, 0x01]), Buffer.from('MEGACO/1')],
    ours: { bytes: write('!/1 [127.0.0.1]:2944 T=12{C=-{MF=aaln/1{E=1{al/of}}}}'), self: udp('127.0.0.1') },
    alternates: [udp('127.0.0.2'), udp('127.0.0.3', 4_000), udp('mgc4.example'), udp('127.0.0.5')],
    inStream: (bytes) => withTpkt(bytes),
  }));
