'use strict';
// Runs before `npm start`, `npm test` and friends, on any Node: installs what is missing, then checks that npm will run Node 24.
const { execFileSync, spawnSync } = require('node:child_process');
const { existsSync, readFileSync } = require('node:fs');
const { basename, join } = require('node:path');

const root = join(__dirname, '..');
const modules = join(root, 'node_modules');

if (!installed()) {
  process.stderr.write('altpath: installing packages (first run) …\n');
  const run = install();
  if (run.status !== 0) {
    process.stderr.write('altpath: `npm ci` failed; see the lines above.\n');
    process.exit(1);
  }
}

const version = scriptNodeVersion();
const [major, minor] = version.slice(1).split('.').map(Number);
if (!(major > 24 || (major === 24 && minor >= 12))) {
  const { engines } = readJson(join(root, 'package.json'));
  process.stderr.write(
    `altpath: needs Node ${engines.node}, found ${version}. On Linux x64 and arm64 \`npm ci\` brings Node 24 along; elsewhere install it from your version manager.\n`,
  );
  process.exit(1);
}

/**
 * Is everything here that the lockfile asks for? npm writes a copy of it at the end of each installation. Optional packages may be
 * missing (they are for other machines), and to start, those for development as well.
 */
function installed() {
  const done = join(modules, '.package-lock.json');
  if (!existsSync(done)) return false;
  const wanted = Object.entries(readJson(join(root, 'package-lock.json')).packages || {});
  const present = readJson(done).packages || {};
  const starting = process.env.npm_lifecycle_event === 'prestart';
  return wanted.every(([path, { version, optional, dev }]) => {
    if (path === '' || optional || (dev && starting)) return true;
    return present[path] !== undefined && present[path].version === version;
  });
}

function install() {
  const words = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  const options = { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] };
  // The npm that runs us, unless it is another program of its kind.
  const npm = process.env.npm_execpath;
  return npm !== undefined && /^npm(-cli)?\.c?js$/.test(basename(npm))
    ? spawnSync(process.execPath, [npm, ...words], options)
    : spawnSync('npm', words, { ...options, shell: process.platform === 'win32' });
}

/** Of the Node that an npm script finds first: node_modules/.bin/node where the optional package fits the machine. */
function scriptNodeVersion() {
  const own = join(modules, '.bin', process.platform === 'win32' ? 'node.exe' : 'node');
  if (!existsSync(own)) return process.version;
  try {
    return execFileSync(own, ['--version'], { encoding: 'utf8' }).trim();
  } catch {
    // Built for another C library: it cannot run here, yet npm's scripts would find it first.
    return 'one that this machine cannot run (node_modules/.bin/node)';
  }
}

function readJson(file) {
  return JSON.parse(readFileSync(file, 'utf8'));
}
