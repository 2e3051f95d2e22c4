/** What counts as one source: an IPv4 address, or the /64 of an IPv6 address (whoever has one address there has them all). */

export function sourceKey(host: string): string {
  if (!host.includes(':')) return host;
  const [bare = ''] = host.split('%', 1);
  // An IPv4 address in IPv6 clothes is what it is.
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare);
  if (mapped?.[1] !== undefined) return mapped[1];
  const [head = '', tail] = bare.split('::', 2);
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const behind = tail === '' ? [] : tail.split(':');
    while (groups.length + behind.length < 8) groups.push('0');
    groups.push(...behind);
  }
  const prefix = groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${prefix.join(':')}::/64`;
}
