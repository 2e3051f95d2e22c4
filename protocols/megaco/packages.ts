/** Which packages a gateway has (RFC 3525 §7.2.5), and what it is given by them: the path attribute as a property, a watch on our silence. */
import type { PathAttribute } from '../../src/internal.ts';
import { type ActionReply, type ActionRequest, type Command, contextNull } from './codec/messages.ts';
import { pathPackage, pathPropertyCommand } from './path.ts';

/** Asks ROOT, and one line for what only lines have. */
export function packagesQuestion(line: string | undefined, contextId: number): readonly ActionRequest[] {
  const ask = (terminationId: string): Command => ({
    verb: 'AuditValue',
    terminationId,
    optional: true,
    descriptors: [{ kind: 'Audit', items: ['Packages'] }],
  });
  if (line === undefined) return [{ contextId: contextNull, commands: [ask('ROOT')] }];
  if (contextId === contextNull) return [{ contextId, commands: [ask('ROOT'), ask(line)] }];
  return [
    { contextId: contextNull, commands: [ask('ROOT')] },
    { contextId, commands: [ask(line)] },
  ];
}

export const packagesIn = (actions: readonly ActionReply[]): ReadonlySet<string> =>
  new Set(
    actions.flatMap(({ commands }) =>
      commands.flatMap(({ descriptors }) =>
        descriptors.flatMap((each) => (each.kind === 'Packages' ? each.packages.map(({ name }) => name) : [])),
      ),
    ),
  );

export function commandsFor(
  packages: ReadonlySet<string>,
  path: PathAttribute | undefined,
  inactivityMs: number,
): readonly Command[] {
  const commands: Command[] = [];
  if (packages.has(pathPackage) && path !== undefined) commands.push(pathPropertyCommand(path));
  if (packages.has('it') && inactivityMs > 0) commands.push(inactivityCommand(inactivityMs));
  return commands;
}

/** H.248.14: the gateway reports when it has heard nothing of us for this long; an idle one finds out that we are dead. */
const inactivityCommand = (inactivityMs: number): Command => ({
  verb: 'Modify',
  terminationId: 'ROOT',
  optional: true,
  descriptors: [
    {
      kind: 'Events',
      requestId: 1,
      // In units of 10 ms.
      events: [
        {
          name: 'it/ito',
          parameters: [{ name: 'mit', relation: '=', values: [String(Math.ceil(inactivityMs / 10))] }],
        },
      ],
    },
  ],
});
