/** Floating addresses (`vip`): what must hold for them, and what loses calls when they move although it is valid. */
import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import { isWildcard } from '../network/local-address.ts';
import { formatAddress } from '../signaling/controller-address.ts';
import type { CoreConfig } from './core-schema.ts';
import type { RoleSection } from './role-section.ts';

type Issue = z.core.$ZodIssue;
type Sections = ReadonlyMap<string, RoleSection>;

export function floatingIssues({ vip, cluster }: CoreConfig, sections: Sections): readonly Issue[] {
  if (vip.length === 0) return [];
  const listen = [...sections.values()].flatMap((section) => section.listen);
  const issues = vip.flatMap((host, index) =>
    listen.some((address) => address.host === host && address.port !== 0)
      ? []
      : [custom(['vip', index], `nothing listens on ${host}: write it, with a port, into listen of a role`)],
  );
  // Without it each host computes other branches and tags, and could not go on with the transactions of the other.
  if (cluster.secret === undefined)
    issues.push(custom(['vip'], 'needs cluster.secret, the same on both hosts (make one with: openssl rand -hex 32)'));
  return issues;
}

/** One line each. `keepalived`: the text of its configuration on this host, undefined where there is none. */
export function floatingWarnings(
  { vip, admin, location }: CoreConfig,
  sections: Sections,
  keepalived: string | undefined = keepalivedConfiguration(),
): readonly string[] {
  const warnings: string[] = [];
  const moved = new Set([...vip, ...virtualAddresses(keepalived ?? '')]);
  for (const [role, { listen, advertise }] of sections)
    for (const address of listen) {
      if (moved.has(address.host) && !vip.includes(address.host))
        warnings.push(
          `${role}: keepalived moves ${address.host}: name it in vip, or this host does not start while it is elsewhere`,
        );
      if (!isWildcard(address.host) || moved.size === 0) continue;
      const shown = advertise !== undefined && moved.has(advertise) ? ` (advertise: ${advertise})` : '';
      warnings.push(
        `${role}: ${formatAddress(address)}${shown} beside a floating address: datagrams leave from this host's own address, and calls that ring are lost when it dies; listen on ${[...moved].join(', ')} itself and name it in vip`,
      );
    }
  if (vip.length === 0) return warnings;
  if (admin === 'off')
    warnings.push(
      'vip without admin: keepalived cannot ask /healthz, so the address stays with a program that is gone',
    );
  else if (keepalived !== undefined && !/^\s*track_(?:script|process)\b/m.test(keepalived))
    warnings.push(
      'vip: keepalived checks nothing here (no track_script): the address stays with a program that is gone',
    );
  if (location === 'memory')
    warnings.push(
      'vip with location memory: the other host does not know who is registered until telephones register again',
    );
  return warnings;
}

/** What keepalived.conf says under virtual_ipaddress. */
export function virtualAddresses(configuration: string): readonly string[] {
  const text = configuration.replaceAll(/[#!].*$/gm, '');
  const blocks = text.matchAll(/virtual_ipaddress(?:_excluded)?\s*\{([^}]*)\}/g);
  return [...blocks].flatMap(([, block = '']) =>
    block
      .split('\n')
      .map((line) => line.trim().split(/[\s/]/, 1)[0] ?? '')
      .filter((word) => word !== ''),
  );
}

function keepalivedConfiguration(): string | undefined {
  try {
    return readFileSync('/etc/keepalived/keepalived.conf', 'utf8').slice(0, 1_048_576);
  } catch {
    return undefined;
  }
}

const custom = (path: PropertyKey[], message: string): Issue => ({ code: 'custom', path, message, input: undefined });
