/** The flags and examples of `altpath megaco`, as src/main.ts hands them to the command line. */
export const megacoFlags = [
  {
    name: 'gateway',
    describe: 'gateway it controls, NAME=[udp:|tcp:]HOST:PORT, further addresses behind commas',
    path: ['gateways'],
    repeatable: true,
  },
  { name: 'line', describe: 'line it serves, NUMBER=TERMINATION@GATEWAY', path: ['lines'], repeatable: true },
  {
    name: 'encoding',
    describe: 'what gateways are written to in until they have spoken: pretty, compact or binary',
    path: ['encoding'],
  },
  { name: 'mid', describe: 'its mId; members of a cluster may share one', path: ['mid'] },
] as const;

export const megacoExamples = [
  ['altpath megaco --gateway gw1=127.0.0.1:2946 --line 200=aaln/1@gw1 --line 201=aaln/2@gw1', 'two lines'],
  ['altpath megaco --listen 127.0.0.1 --backup 127.0.0.2 …', 'with a backup, which every message names …'],
  ['altpath megaco --listen 127.0.0.2 --backup-for 127.0.0.1 …', '… and the backup itself, with the same lines'],
  ["altpath megaco --mid '<mgc.example>' …", 'one mId for all members: plain gateways follow the backup, too'],
] as const;
