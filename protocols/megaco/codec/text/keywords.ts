/** The tokens of RFC 3525 Annex B.2, long and short form, and a table that finds them while their characters are being read. */

/** Long form → short form; equal where the RFC knows one form only. */
export const keywords = {
  Add: 'A',
  Audit: 'AT',
  AuditCapability: 'AC',
  AuditValue: 'AV',
  Authentication: 'AU',
  Bothway: 'BW',
  Brief: 'BR',
  Buffer: 'BF',
  Context: 'C',
  ContextAudit: 'CA',
  DigitMap: 'DM',
  Disconnected: 'DC',
  Delay: 'DL',
  Duration: 'DR',
  Embed: 'EM',
  Emergency: 'EG',
  Error: 'ER',
  EventBuffer: 'EB',
  Events: 'E',
  Failover: 'FL',
  Forced: 'FO',
  Graceful: 'GR',
  HandOff: 'HO',
  ImmAckRequired: 'IA',
  Inactive: 'IN',
  Isolate: 'IS',
  InService: 'IV',
  IntByEvent: 'IBE',
  IntBySigDescr: 'IBS',
  KeepActive: 'KA',
  Local: 'L',
  LocalControl: 'O',
  LockStep: 'SP',
  Loopback: 'LB',
  Media: 'M',
  MEGACO: '!',
  Method: 'MT',
  MgcIdToTry: 'MG',
  Mode: 'MO',
  Modify: 'MF',
  Modem: 'MD',
  Move: 'MV',
  MTP: 'MTP',
  Mux: 'MX',
  Notify: 'N',
  NotifyCompletion: 'NC',
  ObservedEvents: 'OE',
  OFF: 'OFF',
  ON: 'ON',
  Oneway: 'OW',
  OnOff: 'OO',
  OtherReason: 'OR',
  OutOfService: 'OS',
  Packages: 'PG',
  Pending: 'PN',
  Priority: 'PR',
  Profile: 'PF',
  Reason: 'RE',
  ReceiveOnly: 'RC',
  Reply: 'P',
  Restart: 'RS',
  Remote: 'R',
  ReservedGroup: 'RG',
  ReservedValue: 'RV',
  SendOnly: 'SO',
  SendReceive: 'SR',
  Services: 'SV',
  ServiceStates: 'SI',
  ServiceChange: 'SC',
  ServiceChangeAddress: 'AD',
  SignalList: 'SL',
  Signals: 'SG',
  SignalType: 'SY',
  Statistics: 'SA',
  Stream: 'ST',
  Subtract: 'S',
  SynchISDN: 'SN',
  TerminationState: 'TS',
  Test: 'TE',
  TimeOut: 'TO',
  Topology: 'TP',
  Transaction: 'T',
  TransactionResponseAck: 'K',
  Version: 'V',
} as const;

export type Keyword = keyof typeof keywords;

const longForms = Object.keys(keywords) as readonly Keyword[];

/** The steps of the hash, one per character; the scanner repeats them in its own loop. */
export const hashStep = (hash: number, code: number): number => (Math.imul(hash, 31) + (code | 32)) | 0;

const tableSize = 1_024;
const slots: (readonly [spelling: string, keyword: Keyword] | undefined)[] = new Array(tableSize).fill(undefined);

for (const keyword of longForms) {
  insert(keyword, keyword);
  if (keywords[keyword] !== keyword) insert(keywords[keyword], keyword);
}

function insert(spelling: string, keyword: Keyword): void {
  const lower = spelling.toLowerCase();
  let hash = 0;
  for (let index = 0; index < lower.length; index += 1) hash = hashStep(hash, lower.charCodeAt(index));
  let slot = hash & (tableSize - 1);
  while (slots[slot] !== undefined) slot = (slot + 1) & (tableSize - 1);
  slots[slot] = [lower, keyword];
}

/** The keyword spelled by text[start, end) in either form and any case; `hash` is hashStep over its characters. */
export function keywordAt(text: string, start: number, end: number, hash: number): Keyword | undefined {
  for (let slot = hash & (tableSize - 1); ; slot = (slot + 1) & (tableSize - 1)) {
    const entry = slots[slot];
    if (entry === undefined) return undefined;
    if (spells(text, start, end, entry[0])) return entry[1];
  }
}

function spells(text: string, start: number, end: number, lower: string): boolean {
  if (end - start !== lower.length) return false;
  for (let index = 0; index < lower.length; index += 1) {
    if ((text.charCodeAt(start + index) | 32) !== (lower.charCodeAt(index) | 32)) return false;
  }
  return true;
}
