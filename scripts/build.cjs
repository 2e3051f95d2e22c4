/**
 * Builds the package: JavaScript and types into dist/, or into the folder that is named. The program `altpath` is gathered from its some
 * 600 files into a few besides: to find and read them takes twice the time of everything else at a start.
 */
const { spawnSync } = require('node:child_process');
const { copyFileSync, readdirSync, rmSync, writeFileSync } = require('node:fs');
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

const main = join(out, 'src/main.js');

/** Packages stay where npm puts them, so that their fixes reach us. */
async function gather() {
  const { rolldown } = await import('rolldown');
  const bundle = await rolldown({ input: main, platform: 'node', external: (id) => !/^[./]/.test(id) });
  await bundle.write({ dir: join(out, 'src/program'), format: 'esm' });
  await bundle.close();
  writeFileSync(main, "#!/usr/bin/env node\nimport './program/main.js';\n");
}

gather().then(
  () => {
    process.exitCode = Math.max(...codes);
  },
  (error) => {
    console.error(error);
    process.exitCode = 1;
  },
);
