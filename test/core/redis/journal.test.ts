/** kill -9 of a member while the store is away: what it acknowledged is in its journal, and its next life brings it to the store. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { LocationService } from '../../../src/internal.ts';
import { silentLog } from '../../../src/internal.ts';
import { WriteJournal } from '../../../src/location/redis/journal.ts';
import { recordKey, shardOf } from '../../../src/location/redis/shards.ts';
import { contactAt } from '../../contract/location-service.contract.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { StoreScene } from './store-scene.ts';

let scene: StoreScene;
let directory: string;
let path: string;

beforeEach(() => {
  scene = new StoreScene();
  directory = mkdtempSync(join(tmpdir(), 'altpath-journal-'));
  path = join(directory, 'var', 'waiting');
});

afterEach(async () => {
  await scene.end();
  rmSync(directory, { recursive: true, force: true });
});

const journal = (): WriteJournal => new WriteJournal(path, silentLog);

const save = (member: LocationService, user: string, cseq: number, keys: readonly string[] = ['x']): Promise<void> =>
  scene.settled(
    member.save(
      `${user}@example.com`,
      keys.map((key) => contactAt(scene.clock, key, { callId: user, cseq })),
      { callId: user, cseq, maxContacts: 9 },
    ),
  );

const stored = (user: string): number =>
  [
    ...(scene.store.hashes.get(recordKey(shardOf(`${user}@example.com`), `${user}@example.com`))?.values() ?? []),
  ].filter((value) => !value.endsWith('\n')).length;

it('nothing that was acknowledged is lost, and the journal is empty when the store has it', async () => {
  const first = await scene.member({ journal: journal() });
  await save(first, 'removed', 1);
  await save(first, 'early', 1);
  expect(statSync(path).size).toBe(0);
  scene.store.kill();
  await scene.pass(10);
  await save(first, 'late', 1);
  await save(first, 'late', 2);
  await save(first, 'removed', 2, []);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  // kill -9: nobody closes anything. The last line may be cut off.
  const left = readFileSync(path, 'utf8');
  appendFileSync(path, '["cut@example.com","x","1c 1 ');
  expect(left.split('\n')).toHaveLength(4);
  const second = await scene.member({ journal: journal() });
  expect(second.lookup('late@example.com').map(({ cseq }) => cseq)).toEqual([2]);
  scene.members.splice(0, 1);
  scene.store.start();
  await scene.pass(6_000);
  expect([stored('late'), stored('early'), stored('removed')]).toEqual([1, 1, 0]);
  expect(second.lookup('removed@example.com')).toEqual([]);
  expect(statSync(path).size).toBe(0);
});

it('a line that was cut off takes none of the later ones along', async () => {
  scene.store.kill();
  await scene.member({ journal: journal() });
  appendFileSync(path, '["cut@example.com","x","1c 1 ');
  const second = await scene.member({ journal: journal() });
  await save(second, 'alice', 1);
  await save(second, 'bob', 1);
  const third = await scene.member({ journal: journal() });
  expect(['alice', 'bob'].map((user) => third.lookup(`${user}@example.com`).length)).toEqual([1, 1]);
});

it('gives its process a name that outlives it', () => {
  const first = journal();
  first.open();
  const name = first.name(seededRandom(1));
  expect(name).toMatch(/^[0-9a-f]{12}$/);
  const second = journal();
  second.open();
  expect(second.name(seededRandom(2))).toBe(name);
  expect(statSync(`${path}.member`).mode & 0o777).toBe(0o600);
  writeFileSync(`${path}.member`, 'not a name');
  expect(second.name(seededRandom(3))).toMatch(/^[0-9a-f]{12}$/);
  first.close();
  second.close();
});

it('does not undo what was registered elsewhere after it was written', async () => {
  const first = await scene.member({ journal: journal() });
  scene.store.kill();
  await scene.pass(10);
  await save(first, 'alice', 1);
  scene.members.splice(0, 1);
  await scene.pass(100);
  scene.store.start();
  const other = await scene.member();
  await save(other, 'alice', 5);
  const second = await scene.member({ journal: journal() });
  await scene.pass(3_000);
  for (const member of [second, other]) expect(member.lookup('alice@example.com')[0]?.cseq).toBe(5);
});

it('cannot be used: the start says so', async () => {
  writeFileSync(join(directory, 'file'), '');
  const member = scene.member({ journal: new WriteJournal(join(directory, 'file', 'waiting'), silentLog) });
  await expect(member).rejects.toMatchObject({ code: 'ERR_FILE' });
  scene.members.splice(0, 1);
});
