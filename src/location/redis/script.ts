/**
 * The one script that changes the store: it compares, writes and announces in one step (RFC 3261 §10.3, for all contacts of the request or
 * for none). Contacts that it refuses it returns as they are stored.
 */
import { createHash } from 'node:crypto';
import { epochKey, recordKey, streamKey } from './shards.ts';

/** What one call is to change: each key gets this value, a contact's or a tombstone's. */
export interface ScriptCall {
  readonly shard: number;
  readonly record: string;
  /** Which data set we take it for. */
  readonly epoch: string;
  /** Who writes, for those who read the stream. */
  readonly member: string;
  readonly wallMs: number;
  /** No more contacts than this; 0: as many as there are. */
  readonly maxContacts: number;
  /**
   * Something that waited while the store was away, or that is written once more: where another registration is stored, the one that
   * was made later stays.
   */
  readonly isLate: boolean;
  readonly changes: readonly (readonly [key: string, value: string])[];
}

export type ScriptReply =
  /** Stored; for each change its id in the stream, '' where the same was there. */
  | { readonly kind: 'stored'; readonly ids: readonly string[] }
  /** Nothing was changed: a key holds what is newer. All that the record holds, as `key, value, …`. */
  | { readonly kind: 'older' | 'crowded'; readonly held: readonly string[] }
  /** It is not the data set that we know. */
  | { readonly kind: 'epoch' };

/** Streams are cut to about this many entries, never to fewer. */
export const streamLength = 10_000;

/**
 * A tombstone counts as a registration of its Call-ID, but not for the request that the removed contact came from: that one is over.
 * Contacts whose time is over are none, and are dropped on the way.
 */
export const script = `
local call, maxContacts, late, now = ARGV[2], tonumber(ARGV[4]), ARGV[5] == '1', tonumber(ARGV[3])
if redis.call('GET', KEYS[3]) ~= ARGV[1] then return {'epoch'} end
local function read(value)
  local id, cseq, expires, updated = string.match(value, '^1([^ \\n]*) ([^ \\n]*) ([^ \\n]+) ([^ \\n]+)\\n')
  if not id then return nil end
  local till = expires == '-' and math.huge or tonumber(expires) or 0
  return {id = id, cseq = tonumber(cseq), till = till, updated = tonumber(updated) or 0, gone = string.sub(value, -1) == '\\n'}
end
local held, live, count = redis.call('HGETALL', KEYS[1]), {}, 0
local text, stale, foreign = {}, {}, false
for i = 1, #held, 2 do
  local entry = read(held[i + 1])
  text[held[i]] = held[i + 1]
  if entry and entry.till <= now then stale[#stale + 1] = held[i]
  elseif entry then
    live[held[i]] = entry
    if not entry.gone then count = count + 1 end
  else foreign = true end
end
local grows = false
for i = 6, #ARGV, 2 do
  local entry, new = live[ARGV[i]], read(ARGV[i + 1])
  if entry and text[ARGV[i]] ~= ARGV[i + 1] then
    local older = false
    if entry.id == new.id and entry.cseq and new.cseq then
      older = new.cseq < entry.cseq or (entry.gone and not new.gone and new.cseq == entry.cseq)
      if late and new.cseq == entry.cseq then older = new.updated < entry.updated end
    elseif late then older = new.updated < entry.updated end
    if older then return {'older', held} end
  end
  if not new.gone and not (entry and not entry.gone) then grows = true; count = count + 1 end
  if new.gone and entry and not entry.gone then count = count - 1 end
end
if grows and maxContacts > 0 and count > maxContacts then return {'crowded', held} end
local ids = {'stored'}
for _, key in ipairs(stale) do redis.call('HDEL', KEYS[1], key) live[key] = nil end
for i = 6, #ARGV, 2 do
  local key, value = ARGV[i], ARGV[i + 1]
  if live[key] and text[key] == value then ids[#ids + 1] = ''
  else
    redis.call('HSET', KEYS[1], key, value)
    ids[#ids + 1] = redis.call('XADD', KEYS[2], 'MAXLEN', '~', '${streamLength}', '*', 'm', call, 'r', string.sub(KEYS[1], string.find(KEYS[1], ':loc:', 1, true) + 5), 'k', key, 'v', value)
  end
  live[key] = read(value)
end
-- What another version wrote there lives as long as it said.
local till = foreign and redis.call('PEXPIRETIME', KEYS[1]) or 0
if till == -1 then till = math.huge end
for _, entry in pairs(live) do if entry.till > till then till = entry.till end end
if till == math.huge then redis.call('PERSIST', KEYS[1])
else redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', till)) end
return ids
`;

export const scriptSha = createHash('sha1').update(script).digest('hex');

/** Of EVALSHA, or of EVAL where the server has forgotten the script. */
export function scriptWords(call: ScriptCall, how: 'EVALSHA' | 'EVAL'): readonly string[] {
  const { shard, record, epoch, member, wallMs, maxContacts, isLate } = call;
  return [
    how,
    how === 'EVAL' ? script : scriptSha,
    '3',
    recordKey(shard, record),
    streamKey(shard),
    epochKey(shard),
    epoch,
    member,
    String(Math.round(wallMs)),
    String(maxContacts),
    isLate ? '1' : '0',
    ...call.changes.flat(),
  ];
}

/** @throws TypeError for what the script never returns. */
export function readScriptReply(reply: unknown): ScriptReply {
  const [kind, ...rest]: readonly unknown[] = Array.isArray(reply) ? reply : [];
  if (kind === 'stored') return { kind, ids: rest.map(String) };
  if (kind === 'epoch') return { kind };
  const [held] = rest;
  if ((kind === 'older' || kind === 'crowded') && Array.isArray(held)) return { kind, held: held.map(String) };
  throw new TypeError('the store answered the script with what it never returns');
}
