/** A start with plain flags means what the whole command line makes of the same words; everything else is left to that. */
import { describe, expect, it } from 'vitest';
import yargs from 'yargs';
import { declareFlags, overridesOf, plainFlags, word } from '../../src/cli/flags.ts';
import { protocols } from '../../src/protocol-table.ts';

const sip = protocols.find(({ name }) => name === 'sip');

const parsed = (words: readonly string[]) => {
  const parser = yargs([...words]).parserConfiguration({ 'boolean-negation': false });
  return declareFlags(parser, sip).exitProcess(false).parseSync();
};

const meaning = (flags: Parameters<typeof overridesOf>[0]) => ({
  config: word(flags, 'config'),
  node: word(flags, 'node'),
  overrides: overridesOf(flags, sip),
});

describe('plain flags', () => {
  it.each([
    [''],
    ['-c altpath.yaml'],
    ['--config altpath.yaml --node a --location memory'],
    ['--listen udp:127.0.0.1:5060 --listen tcp:127.0.0.1:5060 --domain example.com'],
    ['--backup 127.0.0.2 --log-level debug --log-format json --admin off'],
    ['-c a.yaml -c b.yaml --location memory --location sqlite:/x'],
    ['--node 7 --domain 12'],
  ])('%s', (line) => {
    const words = line.split(' ').filter((each) => each !== '');
    const flags = plainFlags(words, sip);
    expect(flags).toBeDefined();
    expect(meaning(flags ?? {})).toEqual(meaning(parsed(words)));
  });

  it.each([
    ['--config=altpath.yaml'],
    ['--help'],
    ['-h'],
    ['--location'],
    ['--location --admin off'],
    ['--unknown word'],
    ['--log-level loud'],
    ['word'],
    ['-c a.yaml word'],
    ['-- -c a.yaml'],
    ['--logLevel debug'],
  ])('%s is left to the command line', (line) => {
    expect(plainFlags(line.split(' '), sip)).toBeUndefined();
  });
});
