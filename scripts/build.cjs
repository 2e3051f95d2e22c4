/** Builds the package: JavaScript and types into dist/, or into the folder that is named. */
const { spawnSync } = require('node:child_process');
const { copyFileSync, rmSync } = require('node:fs');
const { join } = require('node:path');

const root = join(__dirname, '..');
const out = process.argv[2] ?? join(root, 'dist');
rmSync(out, { recursive: true, force: true });
const compiler = join(root, 'node_modules/typescript/bin/tsc');
const { status } = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.build.json', '--outDir', out], {
  cwd: root,
  stdio: 'inherit',
});
// The compiler reads declarations that are written by hand, and leaves them where they are.
const declaration = 'protocols/sip/telephone/sip.d.ts';
copyFileSync(join(root, declaration), join(out, declaration));
process.exitCode = status ?? 1;
