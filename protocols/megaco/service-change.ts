/** ServiceChange (RFC 3525 §7.2.8, §11.2–11.5): what a gateway's announcement means, and how it is answered. Pure. */
import type { ControllerAddress, PathAttribute } from '../../src/internal.ts';
import {
  type ActionRequest,
  type CommandReply,
  contextNull,
  type Descriptor,
  type ServiceChangeDescriptor,
} from './codec/messages.ts';
import { addressMId } from './codec/mid.ts';
import { pathExtensionParameter } from './path.ts';

export type Announcement =
  /** Its contexts are gone (cold or warm boot). */
  | 'restarted'
  /** It comes to us with its contexts: from a controller that failed, or by a controller's order, or after it had lost us. */
  | 'arrived'
  /** It leaves, at once or when its calls have ended. */
  | 'left'
  | 'leaving';

/** undefined: a method that we do not know. */
export function announcementOf({ method }: ServiceChangeDescriptor): Announcement | undefined {
  switch (method) {
    case 'Restart':
      return 'restarted';
    case 'Failover':
    case 'HandOff':
    case 'Disconnected':
      return 'arrived';
    case 'Forced':
      return 'left';
    case 'Graceful':
      return 'leaving';
    default:
      return undefined;
  }
}

export const servicesOf = (descriptors: readonly Descriptor[]): ServiceChangeDescriptor | undefined => {
  for (const descriptor of descriptors) if (descriptor.kind === 'Services') return descriptor;
  return undefined;
};

/** §7.2.8: the answer to a registration names the version and the time; only of what was asked, no more (the grammar has no room). */
export function registrationReply(
  terminationId: string,
  services: ServiceChangeDescriptor,
  options: { readonly version: number; readonly nowMs: number; readonly mgcId?: string | undefined },
): CommandReply {
  const version = Math.min(services.version ?? 1, options.version);
  const reply: ServiceChangeDescriptor = {
    kind: 'Services',
    version,
    ...(services.profile === undefined ? {} : { profile: services.profile }),
    ...(options.mgcId === undefined ? {} : { mgcId: options.mgcId }),
    timeStamp: timeStamp(options.nowMs),
  };
  return { verb: 'ServiceChange', terminationId, descriptors: [reply] };
}

/** ISO 8601 basic format in UTC, hundredths of a second: `20261122T18300099`. */
export function timeStamp(nowMs: number): string {
  const iso = new Date(nowMs).toISOString();
  return `${iso.slice(0, 10).replaceAll('-', '')}T${iso.slice(11, 19).replaceAll(':', '')}${iso.slice(20, 22)}`;
}

/** §11.5: the gateway is directed to `to`; `path`: what it says of its own backups, where we are the one it is directed to. */
export const handOffAction = (to: ControllerAddress, path: PathAttribute | undefined): ActionRequest => ({
  contextId: contextNull,
  commands: [
    {
      verb: 'ServiceChange',
      terminationId: 'ROOT',
      descriptors: [
        {
          kind: 'Services',
          method: 'HandOff',
          reason: '903 MGC Directed Change',
          mgcId: addressMId(to),
          ...(path === undefined ? {} : { extensions: [pathExtensionParameter(path)] }),
        },
      ],
    },
  ],
});
