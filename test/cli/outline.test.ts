import { expect, it } from 'vitest';
import { outline } from '../../src/cli/table.ts';

it('a list of things with parts is a table below its name', () => {
  const text = outline({
    state: 'ready',
    workers: [
      { worker: 1, pid: 4711, overload: { state: 'calm', refused: 0 } },
      { worker: 2, pid: 4712, overload: { state: 'shedding', refused: 9 }, deaths: 3 },
    ],
    takeovers: [],
    addresses: ['udp:192.0.2.1:5060', 'tcp:192.0.2.1:5060'],
  });
  expect(text.split('\n')).toEqual([
    'state      ready',
    'workers',
    '  worker  pid   overload  deaths',
    '  1       4711  calm',
    '  2       4712  shedding  3',
    'takeovers',
    'addresses  udp:192.0.2.1:5060, tcp:192.0.2.1:5060',
  ]);
});
