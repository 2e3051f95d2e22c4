/** Listeners and numbers that are configured twice, in one role or in two. */
import type { z } from 'zod';
import { isWildcard } from '../network/local-address.ts';
import { type ControllerAddress, formatAddress, type SocketAddress } from '../signaling/controller-address.ts';
import type { RoleSection } from './role-section.ts';

type Issue = z.core.$ZodIssue;

export function conflicts(
  sections: ReadonlyMap<string, RoleSection>,
  admin: SocketAddress | 'off',
  emergency: readonly string[] = [],
): readonly Issue[] {
  return [...listenersTwice(sections, admin), ...numbersTwice(sections), ...numbersHidden(sections, emergency)];
}

function listenersTwice(sections: ReadonlyMap<string, RoleSection>, admin: SocketAddress | 'off'): readonly Issue[] {
  const taken: (ControllerAddress & { readonly by: string })[] = [];
  const issues: Issue[] = [];
  if (admin !== 'off') taken.push({ ...admin, transport: 'tcp', by: 'the admin server' });
  for (const [role, { listen }] of sections)
    for (const [index, address] of listen.entries()) {
      const other = address.port === 0 ? undefined : taken.find((each) => collide(each, address));
      if (other !== undefined)
        issues.push(
          custom([role, 'listen', index], `${formatAddress(address)} is listened on twice (${other.by} has it)`),
        );
      taken.push({ ...address, by: `${role}: ${formatAddress(address)}` });
    }
  return issues;
}

/** A wildcard has the port on every address of its family. */
function collide(one: ControllerAddress, other: ControllerAddress): boolean {
  if (one.port !== other.port || (one.transport === 'udp') !== (other.transport === 'udp')) return false;
  if (one.host === other.host) return true;
  return one.host.includes(':') === other.host.includes(':') && (isWildcard(one.host) || isWildcard(other.host));
}

/** Numbers of all roles are one numbering plan. */
function numbersTwice(sections: ReadonlyMap<string, RoleSection>): readonly Issue[] {
  const first = new Map<string, string>();
  const issues: Issue[] = [];
  for (const [role, { lines = [] }] of sections)
    for (const [index, { number }] of lines.entries()) {
      const before = first.get(number);
      if (before === undefined) first.set(number, role);
      else if (issues.length < maxIssues)
        issues.push(custom([role, 'lines', index], `the number ${number} is on two lines (${before} has the other)`));
    }
  return issues;
}

/** An emergency number is complete with its last digit: what goes on after it, nobody can dial on a line. */
function numbersHidden(sections: ReadonlyMap<string, RoleSection>, emergency: readonly string[]): readonly Issue[] {
  if (emergency.length === 0) return [];
  const issues: Issue[] = [];
  for (const [role, { lines = [] }] of sections)
    for (const [index, { number }] of lines.entries()) {
      const before = emergency.find((each) => number !== each && number.startsWith(each));
      if (before !== undefined && issues.length < maxIssues)
        issues.push(
          custom(
            [role, 'lines', index],
            `the number ${number} begins with the emergency number ${before}: it cannot be dialled`,
          ),
        );
    }
  return issues;
}

const custom = (path: PropertyKey[], message: string): Issue => ({ code: 'custom', path, message, input: undefined });

const maxIssues = 20;
