/**
 * Builds the Debian package: node scripts/build-deb.cjs [FOLDER] [--compression=none]. Needs dpkg-deb and the dependencies of `npm ci`, and no network.
 * Node comes with it. The last line of the output is the file.
 */
const { spawnSync } = require('node:child_process');
const {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} = require('node:fs');
const { tmpdir } = require('node:os');
const { dirname, join } = require('node:path');

const root = join(__dirname, '..');
const [folder = '.'] = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const compression = process.argv.find((word) => word.startsWith('--compression='))?.split('=')[1] ?? 'xz';
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const architecture = { x64: 'amd64', arm64: 'arm64' }[process.arch];
if (architecture === undefined) throw new Error(`no Debian package for ${process.arch}`);

const tree = mkdtempSync(join(tmpdir(), 'altpath-deb-'));

function build() {
  run(process.execPath, [join(root, 'scripts/build.cjs'), place('usr/lib/altpath/dist')]);
  for (const name of ['package.json', 'config']) copy(name, `usr/lib/altpath/${name}`);
  for (const path of productionPackages()) copy(path, `usr/lib/altpath/${path}`);
  write('usr/bin/altpath', launcher, 0o755);
  copy('ops/systemd/altpath.service', 'usr/lib/systemd/system/altpath.service');
  copy('ops/keepalived/check-altpath', 'usr/lib/altpath/keepalived/check-altpath');
  chmodSync(place('usr/lib/altpath/keepalived/check-altpath'), 0o755);
  copy('ops/systemd/altpath.default', 'etc/default/altpath');
  copy('ops/logrotate/altpath', 'etc/logrotate.d/altpath');
  write(
    'etc/altpath/altpath.yaml',
    readFileSync(join(root, 'config/default.yaml'), 'utf8')
      .replace('sqlite:./var/locations.sqlite', 'sqlite:/var/lib/altpath/locations.sqlite')
      .replace('format: pretty', 'format: json'),
    0o640,
  );
  for (const name of ['README.md', 'CHANGELOG.md', 'docs']) copy(name, `usr/share/doc/altpath/${name}`);
  copy('LICENSE', 'usr/share/doc/altpath/copyright');
  for (const name of ['keepalived/keepalived.conf', 'keepalived/90-altpath.conf', 'kamailio-aware.cfg'])
    copy(`ops/${name}`, `usr/share/doc/altpath/examples/${name.replace(/.*\//, '')}`);
  write('DEBIAN/control', control());
  write('DEBIAN/conffiles', '/etc/altpath/altpath.yaml\n/etc/default/altpath\n/etc/logrotate.d/altpath\n');
  for (const [name, text] of Object.entries(maintainerScripts))
    write(`DEBIAN/${name}`, `#!/bin/sh\nset -e\n${text}`, 0o755);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `altpath_${version}_${architecture}.deb`);
  run('dpkg-deb', ['--root-owner-group', `-Z${compression}`, '--build', tree, file]);
  console.log(file);
}

/** What package-lock.json says is needed to run, as far as it is installed (of the two builds of Node one is). */
function productionPackages() {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  return Object.entries(packages)
    .filter(([path, { dev, devOptional }]) => path !== '' && dev !== true && devOptional !== true)
    .map(([path]) => path)
    .filter((path) => existsSync(join(root, path)));
}

function control() {
  const size = spawnSync('du', ['-sk', tree], { encoding: 'utf8' }).stdout.split('\t')[0];
  return `Package: altpath
Version: ${version.replace('-', '~')}
Architecture: ${architecture}
Maintainer: altpath <altpath@localhost>
Installed-Size: ${size}
Depends: libc6 (>= 2.28), libstdc++6, adduser
Recommends: logrotate
Suggests: keepalived
Section: comm
Priority: optional
Description: signaling controller for SIP, MGCP and MEGACO
 SIP proxy and registrar, MGCP call agent and MEGACO gateway controller whose
 calls survive the death of their controller.
`;
}

function place(path) {
  const whole = join(tree, path);
  mkdirSync(dirname(whole), { recursive: true });
  return whole;
}

function copy(from, to) {
  cpSync(join(root, from), place(to), { recursive: true, dereference: true });
}

function write(path, text, mode = 0o644) {
  writeFileSync(place(path), text, { mode });
  chmodSync(place(path), mode);
}

function run(command, words) {
  const { status, error } = spawnSync(command, words, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) throw error ?? new Error(`${command} ended with ${status}`);
}

/** Wherever the package was unpacked. */
const launcher = `#!/bin/sh
lib=$(dirname "$(readlink -f "$0")")/../lib/altpath
for node in "$lib"/node_modules/node-linux-*/bin/node; do
  exec "$node" "$lib/dist/src/main.js" "$@"
done
`;

const maintainerScripts = {
  postinst: `if [ "$1" = configure ]; then
  adduser --system --group --home /var/lib/altpath --no-create-home --quiet altpath
  chown root:altpath /etc/altpath/altpath.yaml
  chmod 640 /etc/altpath/altpath.yaml
  mkdir -p /var/log/altpath
  chown altpath:altpath /var/log/altpath
  if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl enable altpath.service
    # An upgrade: what runs is drained and started anew. A first installation is configured before it is started.
    if [ -n "$2" ]; then systemctl try-restart altpath.service; fi
  fi
fi
`,
  prerm: `if [ "$1" = remove ] && [ -d /run/systemd/system ]; then systemctl disable --now altpath.service; fi
`,
  postrm: `if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
if [ "$1" = purge ]; then rm -rf /var/lib/altpath /var/log/altpath; fi
`,
};

try {
  build();
} finally {
  rmSync(tree, { recursive: true, force: true });
}
