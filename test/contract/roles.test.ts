import { describe, it } from 'vitest';
import { examinedRoles } from './examined-roles.ts';
import { roleChecks } from './role.contract.ts';

describe.each(Object.entries(examinedRoles))('the role of %s', (_protocol, up) => {
  it.each(Object.entries(roleChecks))('%s', async (_name, check) => {
    await check(await up());
  });
});
