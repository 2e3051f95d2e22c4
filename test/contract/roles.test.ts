import { afterEach, describe, it, vi } from 'vitest';
import { examinedRoles } from './examined-roles.ts';
import { roleChecks } from './role.contract.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

describe.each(Object.entries(examinedRoles))('the role of %s', (_protocol, up) => {
  describe.each([2, 3] as const)('of %i members', (members) => {
    it.each(Object.entries(roleChecks))('%s', async (_name, check) => {
      await check(await up({ members }));
    });
  });
});
