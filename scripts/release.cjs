/**
 * Makes a release: node scripts/release.cjs VERSION [FOLDER]. Sets the version everywhere, closes the changelog's section, commits and tags; then
 * packs: the npm package, its SBOM (CycloneDX) and SHA256SUMS, in FOLDER (release/ where none is named). Pushes and publishes nothing.
 * `--no-build` packs the dist/ that is there.
 */
const { execFileSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const { mkdirSync, readdirSync, readFileSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');

const root = process.cwd();
const words = process.argv.slice(2);
const [version = '', folder = 'release'] = words.filter((word) => !word.startsWith('--'));
const builds = !words.includes('--no-build');

const git = (...args) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
const read = (path) => readFileSync(join(root, path), 'utf8');

try {
  check();
  setVersion();
  closeChangelog();
  git('commit', '--quiet', '--all', '--message', `release: ${version}`);
  git('tag', '--annotate', `v${version}`, '--message', `altpath ${version}`);
  pack();
} catch (error) {
  console.error(`release: ${error.message}`);
  process.exitCode = 1;
}

function check() {
  if (!/^\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?$/.test(version))
    throw new Error(`"${version}" is no version: write 1.2.3 or 1.2.3-rc.1`);
  const { version: before } = JSON.parse(read('package.json'));
  if (!isNewer(version, before)) throw new Error(`${version} does not come after ${before}`);
  if (git('status', '--porcelain') !== '') throw new Error('there are changes that are not committed');
  if (git('tag', '--list', `v${version}`) !== '') throw new Error(`the tag v${version} is there already`);
  const section = /^## \[Unreleased\]\n([\s\S]*?)(?=^## \[|(?![\s\S]))/m.exec(read('CHANGELOG.md'));
  if (section === null) throw new Error('CHANGELOG.md has no section "## [Unreleased]"');
  if (section[1].trim() === '') throw new Error('CHANGELOG.md says nothing under "## [Unreleased]"');
}

/** A pre-release comes before its release. */
function isNewer(one, other) {
  const parts = (text) => text.split('-', 1)[0].split('.').map(Number);
  const [a, b] = [parts(one), parts(other)];
  const at = a.findIndex((number, index) => number !== b[index]);
  if (at >= 0) return a[at] > b[at];
  return other.includes('-') && (!one.includes('-') || one > other);
}

function setVersion() {
  execFileSync('npm', ['version', version, '--no-git-tag-version', '--ignore-scripts'], { cwd: root, stdio: 'ignore' });
  replace('ops/helm/altpath/Chart.yaml', /^((?:appV|v)ersion): .*$/gm, `$1: ${version}`);
  replace('ops/helm/altpath/values.yaml', /^image: altpath:.*$/m, `image: altpath:${version}`);
}

function closeChangelog() {
  const day = new Date().toISOString().slice(0, 10);
  replace('CHANGELOG.md', '## [Unreleased]\n', `## [Unreleased]\n\n## [${version}] - ${day}\n`);
}

function replace(path, what, by) {
  const before = read(path);
  const after = before.replace(what, by);
  if (after === before) throw new Error(`${path}: nothing to change`);
  writeFileSync(join(root, path), after);
}

function pack() {
  mkdirSync(join(root, folder), { recursive: true });
  const npm = (...args) =>
    execFileSync('npm', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  npm('pack', '--silent', '--pack-destination', folder, ...(builds ? [] : ['--ignore-scripts']));
  writeFileSync(
    join(root, folder, `altpath-${version}.cdx.json`),
    usersBill(npm('sbom', '--sbom-format', 'cyclonedx', '--package-lock-only')),
  );
  const sums = readdirSync(join(root, folder))
    .filter((name) => name.startsWith(`altpath-${version}.`))
    .sort()
    .map(
      (name) =>
        `${createHash('sha256')
          .update(readFileSync(join(root, folder, name)))
          .digest('hex')}  ${name}`,
    );
  writeFileSync(join(root, folder, 'SHA256SUMS'), `${sums.join('\n')}\n`);
  console.log(`altpath ${version} in ${folder}/: publish it, and push with: git push --follow-tags`);
}

/** Without what only developers need. npm's own `--omit dev` loses packages that both need. */
function usersBill(text) {
  const bill = JSON.parse(text);
  const isForDevelopers = ({ properties = [] }) =>
    properties.some(({ name }) => name === 'cdx:npm:package:development');
  bill.components = bill.components.filter((component) => !isForDevelopers(component));
  const kept = new Set([bill.metadata.component, ...bill.components].map((component) => component['bom-ref']));
  bill.dependencies = bill.dependencies
    .filter(({ ref }) => kept.has(ref))
    .map(({ ref, dependsOn = [] }) => ({ ref, dependsOn: dependsOn.filter((other) => kept.has(other)) }));
  return `${JSON.stringify(bill, undefined, 2)}\n`;
}
