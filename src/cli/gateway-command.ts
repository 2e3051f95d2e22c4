/** `altpath gateway …`: the rooms' simulated gateways under one command. */
import type { CommandModule } from 'yargs';

/** Each of `gateways` is one subcommand, named after its protocol. */
export const gatewayCommand = (gateways: readonly CommandModule[]): CommandModule => ({
  command: 'gateway',
  describe: 'run a simulated gateway with telephone lines',
  builder: (command) => {
    for (const gateway of gateways) command.command(gateway);
    return command.demandCommand(1, 'say which protocol the gateway speaks');
  },
  handler: () => {},
});
