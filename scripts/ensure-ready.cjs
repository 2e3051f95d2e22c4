'use strict';
// Runs before `npm start`, `npm test` and friends, on any Node: installs what is missing, then checks that npm will run Node 24.
const { execFileSync, spawnSync } = require('node:child_process');
const { existsSync, readFileSync, statSync } = require('node:fs');
const { join } = require('node:path');

const root = join(__dirname, '..');
const modules = join(root, 'node_modules');

/** Is everything that the lockfile asks for installed? npm writes its own lockfile copy at the end of each install. */
function installed() {
  const done = join(modules, '.package-lock.json');
  return existsSync(done) && statSync(done).mtimeMs >= statSync(join(root, 'package-lock.json')).mtimeMs;
}

/** The Node that an npm script finds first: node_modules/.bin/node where the optional package fits the machine. */
function scriptNode() {
  const name = process.platform === 'win32' ? 'node.exe' : 'node';
  const own = join(modules, '.bin', name);
  return existsSync(own) ? own : process.execPath;
}

if (!existsSync(modules) || !installed()) {
  process.stderr.write('altpath: installing packages (first run) …\n');
  const npm = process.env.npm_execpath;
  const command = npm
    ? [process.execPath, [npm, 'ci', '--no-audit', '--no-fund', '--loglevel=error']]
    : ['npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']];
  const run = spawnSync(command[0], command[1], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  if (run.status !== 0) {
    process.stderr.write('altpath: `npm ci` failed; see the lines above.\n');
    process.exit(1);
  }
}

const version = execFileSync(scriptNode(), ['--version'], { encoding: 'utf8' }).trim();
const [major, minor] = version.slice(1).split('.').map(Number);
if (major < 24 || (major === 24 && minor < 12)) {
  const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  process.stderr.write(
    `altpath: needs Node ${engines.node}, found ${version}. On Linux x64 and arm64 \`npm ci\` brings Node 24 along; elsewhere install it from your version manager.\n`,
  );
  process.exit(1);
}
