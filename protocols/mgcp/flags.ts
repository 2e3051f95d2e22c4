/** The flags and examples of `altpath mgcp`, as src/main.ts hands them to the command line. */
export const mgcpFlags = [
  {
    name: 'gateway',
    describe: 'gateway it controls, NAME=HOST:PORT, further addresses behind commas',
    path: ['gateways'],
    repeatable: true,
  },
  { name: 'line', describe: 'line it serves, NUMBER=ENDPOINT@GATEWAY', path: ['lines'], repeatable: true },
] as const;

export const mgcpExamples = [
  ['altpath mgcp --gateway rgw1=127.0.0.1:2427 --line 200=aaln/1@rgw1 --line 201=aaln/2@rgw1', 'two lines'],
  ['altpath mgcp --listen 127.0.0.1 --backup 127.0.0.2 …', 'with a backup, which every message names …'],
  ['altpath mgcp --listen 127.0.0.2 --backup-for 127.0.0.1 …', '… and the backup itself, with the same lines'],
] as const;
