/**
 * H.248 knows no call: two contexts belong together if the ephemeral termination of one sends to where that of the other receives.
 * Each pair gets a call identifier of the core's form, made of its addresses and of the number that was dialled. Pure.
 */
import { createHash } from 'node:crypto';
import { CallIds, type LineSnapshot } from '../../src/index.ts';
import type { AuditedLine } from './audit-picture.ts';
import { mediaAddress } from './sdp.ts';

/** The snapshots of all audited lines, each media with the identifier of its call. `numberOf` finds a number by its digest. */
export function pairLines(
  lines: readonly AuditedLine[],
  numberOf: (digest: number) => string | undefined,
): readonly LineSnapshot[] {
  const byLocal = new Map<string, AuditedLine>();
  const byRemote = new Map<string, AuditedLine>();
  for (const line of lines) {
    const local = mediaAddress(line.media?.local);
    const remote = mediaAddress(line.media?.remote);
    if (local !== undefined) byLocal.set(local, line);
    if (remote !== undefined) byRemote.set(remote, line);
  }
  const partnerOf = (line: AuditedLine): AuditedLine | undefined => {
    const named = byLocal.get(mediaAddress(line.media?.remote) ?? '');
    if (named !== undefined && named !== line) return named;
    // The other end may know us before we know it.
    const knows = byRemote.get(mediaAddress(line.media?.local) ?? '');
    return knows === line ? undefined : knows;
  };
  return lines.map((line) => {
    const { snapshot, media } = line;
    if (media === undefined) return { ...snapshot, media: [] };
    const partner = partnerOf(line);
    const ends = [line, ...(partner === undefined ? [] : [partner])]
      .map((end) => mediaAddress(end.media?.local) ?? `${end.snapshot.endpoint} ${end.media?.contextId}`)
      .sort();
    const digest = line.digest !== 0 ? line.digest : (partner?.digest ?? 0);
    const number = digest === 0 ? undefined : numberOf(digest);
    const { mode, local, remote } = media;
    return { ...snapshot, media: [{ callId: callIdOf(ends.join(' '), number), mode, local, remote }] };
  });
}

function callIdOf(key: string, number: string | undefined): string {
  const hash = createHash('sha256').update(key).digest('hex');
  return new CallIds({ hex: (bytes) => hash.slice(0, bytes * 2), fraction: () => 0 }).make(number ?? '');
}
