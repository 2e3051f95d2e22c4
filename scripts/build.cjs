/** Builds the package: JavaScript and types into dist/, or into the folder that is named. */
const { spawnSync } = require('node:child_process');
const { copyFileSync, readdirSync, rmSync } = require('node:fs');
const { join } = require('node:path');

const root = join(__dirname, '..');
const out = process.argv[2] ?? join(root, 'dist');
rmSync(out, { recursive: true, force: true });
const compiler = join(root, 'node_modules/typescript/bin/tsc');
const page = 'src/dashboard/page';
/** The page is another program, for browsers. */
const projects = [
  ['tsconfig.build.json', '--outDir', out],
  [page, '--noEmit', 'false', '--allowImportingTsExtensions', 'false', '--rootDir', page, '--outDir', join(out, page)],
];
const codes = projects.map(
  (words) => spawnSync(process.execPath, [compiler, '-p', ...words], { cwd: root, stdio: 'inherit' }).status ?? 1,
);
// The compiler reads declarations that are written by hand, and leaves them where they are.
const declaration = 'protocols/sip/telephone/sip.d.ts';
copyFileSync(join(root, declaration), join(out, declaration));
for (const name of readdirSync(join(root, page)))
  if (/\.(?:html|css|svg)$/.test(name)) copyFileSync(join(root, page, name), join(out, page, name));
process.exitCode = Math.max(...codes);
