/** Text decoding of what requests and replies have in common: context ids, context attributes, verbs (RFC 3525 Annex B.2). */

import {
  type ContextAttribute,
  contextAll,
  contextChoose,
  contextNull,
  type TopologyTriple,
  type Verb,
} from '../messages.ts';
import { readTopology } from './decode-descriptors.ts';
import type { Keyword } from './keywords.ts';
import type { Scanner } from './scanner.ts';

const uint32 = 0xffffffff;
const [equals, star, dash, dollar] = [0x3d, 0x2a, 0x2d, 0x24];

export function readContextId(s: Scanner): number {
  s.expect(equals, 422);
  if (s.take(dash)) return contextNull;
  if (s.take(dollar)) return contextChoose;
  if (s.take(star)) return contextAll;
  return s.uint(uint32, 422);
}

export interface AttributeList {
  topology?: readonly TopologyTriple[];
  priority?: number;
  emergency?: boolean;
}

export const isAttribute = (word: Keyword | undefined): word is ContextAttribute =>
  word === 'Topology' || word === 'Priority' || word === 'Emergency';

export function readAttribute(s: Scanner, word: ContextAttribute, before: AttributeList | undefined): AttributeList {
  const attributes = before ?? {};
  // RFC 3015 Annex B.2 has one triple per Topology: several stand in a row.
  if (word === 'Topology') attributes.topology = [...(attributes.topology ?? []), ...readTopology(s)];
  else if (word === 'Priority') {
    s.expect(equals, 422);
    attributes.priority = s.uint(0xffff, 422);
  } else {
    attributes.emergency = true;
    // Version 3 writes Emergency=ON / OFF.
    if (s.take(equals)) attributes.emergency = s.word() === 'ON';
  }
  return attributes;
}

export function isVerb(word: Keyword | undefined): word is Verb {
  switch (word) {
    case 'Add':
    case 'Move':
    case 'Modify':
    case 'Subtract':
    case 'AuditValue':
    case 'AuditCapability':
    case 'Notify':
    case 'ServiceChange':
      return true;
    default:
      return false;
  }
}
