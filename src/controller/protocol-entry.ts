/** What the composition root knows of a protocol: how its section is read, which flags it has, and how its role is made. */
import type { CommandModule } from 'yargs';
import type { z } from 'zod';
import type { DiallingPlan } from '../calls/dialling-plan.ts';
import type { RoleSection } from '../config/role-section.ts';
import type { TrustSettings } from '../config/trust-rules.ts';
import type { Demo } from '../demo.ts';
import type { CoreServices, Role } from '../role.ts';
import type { ControllerAddress } from '../signaling/controller-address.ts';
import type { Directory } from '../signaling/directory.ts';
import type { MessageReader } from '../trace/message-reader.ts';

/** A flag of one protocol's command. */
export interface ProtocolFlag {
  /** `domain` makes `--domain`. */
  readonly name: string;
  readonly describe: string;
  /** The setting inside the protocol's section that it replaces. */
  readonly path: readonly string[];
  /** May be given several times; the setting is a list then. */
  readonly repeatable?: boolean;
  /** From the words after the flag to the value as YAML would have it. */
  readonly read?: (text: string) => unknown;
}

/** What `altpath init` writes of a protocol. */
export interface SampleSection {
  /** `udp:HOST:5060`; HOST is the member's. */
  readonly listen: readonly string[];
  /** Lines of its section; DOMAIN is the operator's. */
  readonly lines: readonly string[];
}

export interface ProtocolEntryParts<C extends RoleSection> {
  /** The command, the section of the file and the name in logs: `sip`. */
  readonly name: string;
  /** For help and the ready line: `proxy and registrar`. */
  readonly title: string;
  readonly configSchema: z.ZodType<C>;
  createRole(services: CoreServices, config: C, core: TrustSettings): Role;
  /** Settings of the section that `Role.reload` takes over, `auth.users` with all that is under it; the others need a restart. */
  readonly reloads?: readonly string[];
  /** What its recorded messages say. */
  readonly reader?: MessageReader;
  readonly sample?: SampleSection;
  /** What a peer asks to hear whether a controller lives. */
  readonly ping?: (to: ControllerAddress, from: ControllerAddress) => Uint8Array;
  /** Its users and trunks as the section has them, for `altpath explain` without a running controller. */
  directory?(config: C, plan: DiallingPlan): Directory;
  /** What the operator ought to know of a section that is valid; one line each. */
  warnings?(config: C): readonly string[];
  readonly flags?: readonly ProtocolFlag[];
  /** For --help: what to type, and what it does. */
  readonly examples?: readonly (readonly [command: string, does: string])[];
  /** Commands of its own: a telephone, a simulated gateway. */
  readonly commands?: readonly CommandModule[];
  /** What `altpath demo` shows of it. */
  readonly demo?: Demo;
}

/** A role that is configured and waits to be made. */
export interface RoleSetup {
  readonly name: string;
  readonly title: string;
  /** The protocol's section, parsed: what `Role.reload` takes. */
  readonly section: RoleSection;
  readonly reader: MessageReader | undefined;
  readonly warnings: readonly string[];
  createRole(services: CoreServices, core: TrustSettings): Role;
  directory(plan: DiallingPlan): Directory | undefined;
  readonly reloads: readonly string[];
}

export interface ProtocolEntry {
  readonly name: string;
  readonly title: string;
  readonly schema: z.ZodType<RoleSetup>;
  readonly flags: readonly ProtocolFlag[];
  readonly examples: readonly (readonly [command: string, does: string])[];
  readonly commands: readonly CommandModule[];
  readonly demo: Demo | undefined;
  readonly sample: SampleSection | undefined;
  readonly ping: ProtocolEntryParts<RoleSection>['ping'];
}

/** Ties a protocol's role to its own configuration type, so that protocols of any type fit into one table. */
export function defineProtocol<C extends RoleSection>(parts: ProtocolEntryParts<C>): ProtocolEntry {
  const { name, title, configSchema, reloads = [], reader, flags = [], examples = [], commands = [], demo } = parts;
  const schema = configSchema.transform(
    (config): RoleSetup => ({
      name,
      title,
      section: config,
      reloads,
      reader,
      warnings: parts.warnings?.(config) ?? [],
      createRole: (services, core) => parts.createRole(services, config, core),
      directory: (plan) => parts.directory?.(config, plan),
    }),
  );
  const { sample, ping } = parts;
  return { name, title, schema, flags, examples, commands, demo, sample, ping };
}
