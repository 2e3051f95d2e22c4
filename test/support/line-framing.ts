/** The plainest framing, for tests of connections: a message is a line with its line end; `?` asks for `!` as a keep-alive. */
import type { StreamFraming } from '../../src/internal.ts';

const limitBytes = 65_536;

export const lineFraming = (): StreamFraming => {
  let rest: Buffer = Buffer.alloc(0);
  return {
    get held() {
      return rest.length;
    },
    push(chunk) {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      const messages: Buffer[] = [];
      let reply: Buffer | undefined;
      for (let end = rest.indexOf(0x0a); end !== -1; end = rest.indexOf(0x0a)) {
        const line = rest.subarray(0, end + 1);
        rest = rest.subarray(end + 1);
        if (line.length === 2 && line[0] === 0x3f) reply = Buffer.from('!\n');
        else if (line[0] === 0) return { messages, error: 'a line must not begin with a zero octet' };
        else messages.push(line);
      }
      if (rest.length > limitBytes) return { messages, error: 'the line is too long' };
      return reply === undefined ? { messages } : { messages, reply };
    },
  };
};
