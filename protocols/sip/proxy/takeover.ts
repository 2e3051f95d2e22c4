/** What a backup rewrites in a message of its partner's, so that what follows comes to it (docs/alternate-path.md §6). */
import type { ControllerAddress } from '../../../src/internal.ts';
import { parseUri } from '../codec/uri.ts';
import { parseNameAddr, splitList } from '../codec/values.ts';
import { type Identity, withUser } from '../identity.ts';
import { uriAddress } from '../path.ts';
import { readRouteUser } from './route-user.ts';

/**
 * A dialog-forming response with the partner's Record-Route entries replaced by ours, the partner as our alternate: the caller
 * computes its route set from this very response (RFC 3261 §13.2.2.4), the callee's stays as it is. What proves the dialog stays in it.
 */
export function adoptRecordRoute(text: string, partner: ControllerAddress, identity: Identity): string {
  const end = text.search(/\n\r?\n/);
  if (end < 0) return text;
  const head = text.slice(0, end + 1);
  const adopted = head.replace(/^record-route[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)/gim, (field: string, value: string) => {
    const values = splitList(value.replace(/\r?\n[ \t]+/g, ' '));
    let changed = false;
    const replaced = values.map((entry) => {
      const address = parseNameAddr(entry);
      const uri = address === undefined ? undefined : parseUri(address.uri);
      const named = uri === undefined ? undefined : uriAddress(uri);
      if (uri === undefined || named === undefined || named.host !== partner.host || named.port !== partner.port)
        return entry;
      const own = identity.standInRoute({ ...partner, transport: named.transport }, uri.scheme === 'sips');
      if (own === undefined) return entry;
      changed = true;
      // What proves the dialog and names a flow holds on every member.
      return withUser(own, readRouteUser(uri.user) === undefined ? '' : (uri.user ?? ''));
    });
    return changed ? `Record-Route: ${replaced.join(', ')}\r` : field;
  });
  return adopted + text.slice(end + 1);
}
