import { describe, expect, it } from 'vitest';
import { auditGateway } from '../../../protocols/megaco/audit.ts';
import type { ActionRequest } from '../../../protocols/megaco/codec/messages.ts';
import { decodeText } from '../../../protocols/megaco/codec/text/decode.ts';
import { encodeText } from '../../../protocols/megaco/codec/text/encode.ts';
import { megacoConfigSchema } from '../../../protocols/megaco/config.ts';
import { MediaGateway } from '../../../protocols/megaco/media-gateways.ts';
import { auditedLine, type GatewayPicture } from '../../../protocols/megaco/snapshot.ts';
import { Gateway, writtenAddresses } from '../../../src/internal.ts';

/** A gateway that answers each question as `says` does, undefined for silence; in the order that they are asked. */
function audit(lines: readonly string[], says: (question: string) => string | undefined) {
  const [gateway] = megacoConfigSchema.parse({ gateways: ['gw1=127.0.0.1'] }).gateways;
  if (gateway === undefined) throw new Error('no gateway');
  const defaults = { encoding: 'compact', tHistMs: 30_000 } as const;
  const mg = new MediaGateway(new Gateway(gateway.name, writtenAddresses(gateway)), gateway, defaults);
  const questions: string[] = [];
  const waiting: (() => void)[] = [];
  const result: { picture?: GatewayPicture | undefined; answers: number } = { answers: 0 };
  auditGateway(
    mg,
    lines,
    (_agent, actions, ended) => {
      const question = text(actions);
      questions.push(question);
      waiting.push(() => {
        const answer = says(question);
        if (answer === undefined) {
          ended({ kind: 'timedOut' });
          return;
        }
        const decoded = decodeText(Buffer.from(`!/1 gw1\nP=1{${answer}`));
        if (!decoded.ok || decoded.value.body.kind === 'error') throw new Error(answer);
        const [reply] = decoded.value.body.transactions;
        if (reply?.kind !== 'reply') throw new Error(answer);
        ended({ kind: 'answered', response: { message: decoded.value, reply }, flow: noFlow });
      });
    },
    (picture) => {
      result.picture = picture;
      result.answers += 1;
    },
  );
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) next();
  expect(result.answers).toBe(1);
  return { picture: result.picture, questions };
}

const noFlow = {
  transport: 'udp' as const,
  reliable: false,
  local: { host: '127.0.0.1', port: 1 },
  remote: { host: '127.0.0.1', port: 1 },
  id: 'none',
  send: () => undefined,
  close: () => undefined,
};

const text = (actions: readonly ActionRequest[]): string =>
  /T=1\{(.*)\}$/s
    .exec(
      encodeText(
        {
          version: 1,
          mId: 'x',
          body: { kind: 'transactions', transactions: [{ kind: 'request', transactionId: 1, actions }] },
        },
        'compact',
      )
        .toString()
        .trim(),
    )?.[1]
    ?.replace(/\s+/g, '') ?? '';

const idle = (line: string) => `AV=${line}{E=268435456{al/of},SG}`;
const linesOf = (question: string) => [...question.matchAll(/AV=(aaln\/\d+)/g)].map(([, line = '']) => line);

describe('RFC 3525 §7.2.5: one termination that cannot be read', () => {
  const lines = ['aaln/1', 'aaln/2', 'aaln/3'];
  const noContext = 'C=*{ER=431{}}}';

  it('is asked for again by itself, and is known when that can be read', () => {
    const { picture, questions } = audit(lines, (question) => {
      if (question.startsWith('C=*')) return noContext;
      const asked = linesOf(question);
      return `C=-{${asked.map((line) => (line === 'aaln/2' && asked.length > 1 ? 'AV=aaln/2{??}' : idle(line))).join(',')}}}`;
    });
    expect(questions.map(linesOf)).toEqual([[], lines, ['aaln/2']]);
    expect(lines.map((line) => auditedLine(line, line, picture ?? never)?.snapshot.state)).toEqual([
      'idle',
      'idle',
      'idle',
    ]);
  });

  it('is unknown when that cannot be read either: it begins anew, the others are as they are', () => {
    const { picture } = audit(lines, (question) => {
      if (question.startsWith('C=*')) return noContext;
      return `C=-{${linesOf(question)
        .map((line) => (line === 'aaln/2' ? 'AV=aaln/2{E=1{dd/ce{??}}}' : idle(line)))
        .join(',')}}}`;
    });
    const snapshots = lines.map((line) => auditedLine(line, line, picture ?? never)?.snapshot);
    expect(snapshots).toMatchObject([{ state: 'idle' }, { state: undefined, hook: 'on' }, { state: 'idle' }]);
  });

  it('makes its context unknown, not those of others', () => {
    const { picture, questions } = audit(lines, (question) => {
      if (question.startsWith('C=*')) return 'C=5{AV=aaln/1,AV=rtp/1},C=6{AV=aaln/2,AV=rtp/2}}';
      if (question.startsWith('C=5{O-AV=*')) return 'C=5{AV=aaln/1{E=1610612736{al/on}},AV=rtp/1{M{??}}}}';
      if (question.startsWith('C=5')) return 'C=5{AV=rtp/1{M{??}}}}';
      if (question.startsWith('C=6'))
        return 'C=6{AV=aaln/2{E=1610612736{al/on}},AV=rtp/2{M{ST=1{O{MO=SR},L{v=0\nc=IN IP4 1.2.3.4\nm=audio 4 RTP/AVP 0}}}}}}';
      return `C=-{${linesOf(question).map(idle).join(',')}}}`;
    });
    expect(questions.filter((question) => question.startsWith('C=5'))).toHaveLength(2);
    const [one, two] = lines.map((line) => auditedLine(line, line, picture ?? never));
    expect(one).toMatchObject({ media: undefined, snapshot: { hook: 'on' } });
    expect(two).toMatchObject({ media: { contextId: 6, rtp: 'rtp/2' }, snapshot: { state: 'talking', hook: 'off' } });
  });

  it.each([
    [
      'cut off',
      (asked: readonly string[]) => `C=-{${idle('aaln/1')},AV=aaln/2{E=1{`.slice(0, asked.length > 1 ? undefined : -1),
    ],
    ['too large for what carries it (error 533)', () => 'ER=533{"too large"}}'],
    ['an action in error 533', () => 'C=-{ER=533{}}}'],
  ])('a portion that is %s is asked for line by line', (_name, cut) => {
    const { picture, questions } = audit(lines, (question) => {
      if (question.startsWith('C=*')) return noContext;
      const asked = linesOf(question);
      return asked.length > 1 ? cut(asked) : `C=-{${asked.map(idle).join(',')}}}`;
    });
    expect(questions.length).toBeGreaterThan(3);
    for (const line of lines) expect(auditedLine(line, line, picture ?? never)?.snapshot.state).toBe('idle');
  });

  it('a gateway that is silent, or says that it is somebody else’s, has no picture', () => {
    expect(audit(lines, () => undefined).picture).toBeUndefined();
    expect(audit(lines, () => 'ER=504{}}').picture).toBeUndefined();
  });
});

describe('RFC 3525 §7.2.5, Annex D: contexts are audited in portions', () => {
  it('many lines are asked for their contexts by name, as many as an answer has room for', () => {
    const lines = Array.from({ length: 2_500 }, (_, index) => `aaln/${index + 1}`);
    const { picture, questions } = audit(lines, (question) => {
      const asked = linesOf(question);
      if (question.startsWith('C=*')) return `${asked.map((line) => `C=${line.slice(5)}{AV=${line}}`).join(',')}}`;
      const contextId = /C=(\d+)/.exec(question)?.[1] ?? '';
      return `C=${contextId}{AV=aaln/${contextId}{E=1610612736{al/on}},AV=rtp/${contextId}{M{ST=1{O{MO=SR}}}}}}`;
    });
    expect(questions.filter((question) => question.includes('C=*{O-AV=*'))).toEqual([]);
    for (const question of questions) expect(linesOf(question).length).toBeLessThanOrEqual(40);
    expect(picture?.terminations.size).toBe(5_000);
  });

  it('is done as well where a gateway refuses the whole with error 533', () => {
    const lines = ['aaln/1', 'aaln/2'];
    const { picture, questions } = audit(lines, (question) => {
      if (question.startsWith('C=*{O-AV=*')) return 'ER=533{"Response exceeds maximum transport PDU size"}}';
      if (question.startsWith('C=*')) return 'C=9{AV=aaln/1},C=*{AV=aaln/2{ER=431{}}}}';
      if (question.startsWith('C=9')) return 'C=9{AV=aaln/1{E=1610612736{al/on}},AV=rtp/1{M{ST=1{O{MO=SR}}}}}}';
      return `C=-{${linesOf(question).map(idle).join(',')}}}`;
    });
    expect(questions.map((question) => question.slice(0, 4))).toEqual(['C=*{', 'C=*{', 'C=9{', 'C=-{']);
    expect([...(picture?.terminations.keys() ?? [])]).toEqual(['aaln/1', 'rtp/1', 'aaln/2']);
  });
});

const never: GatewayPicture = { terminations: new Map(), unreadable: new Map() };
