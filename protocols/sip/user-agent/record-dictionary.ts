/**
 * Text that the records of dialogs and INVITEs are likely to have: a record shrinks by what it shares with it. A text once released stays;
 * a better one gets the next version and stands first.
 */
import type { RecordDictionary } from '../../../src/internal.ts';

export const sipRecordDictionaries: readonly RecordDictionary[] = [
  {
    version: 1,
    text: [
      ';gr=urn:uuid:;ob;maddr=;method=;received=;rport=;alias;comp=sigcomp;sigcomp-id=',
      'user=phone;phone-context=;isub=;ext=;npdi;rn=;x-alt=;x-altpath=;alt=',
      'altPath="";AlternatePath=;;+sip.instance="<urn:uuid:>";reg-id=1;expires=3600;q=1.0',
      ' SIP/2.0/TLS [2001:db8::];branch=z9hG4bK SIP/2.0/WSS .invalid;branch=z9hG4bK SIP/2.0/TCP ;branch=z9hG4bK',
      '.example.net.example.com.example.org.sip.voip.proxy.sbc.edge.core.pbx.gw.trunk.carrier.anonymous@anonymous.invalid',
      '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=',
      ' <sips:+49@;user=phone>;tag=as <sip:+1@;user=phone;transport=tls>',
      ' <sip:127.0.0.1:5060;lr;transport=tcp>,<sip:192.168.1.1:5060;transport=udp;lr>,<sip:10.0.0.1;lr=on;ftag=;did=>',
      '1800;uas 90;uac 180;uas INVITE UPDATE 100rel timer',
      ' SIP/2.0/UDP 127.0.0.1:5060;rport;branch=z9hG4bK SIP/2.0/UDP 192.168.;received=10.0.0.;rport=5060;branch=z9hG4bK-',
      '<sip:200@127.0.0.1:5062;transport=udp>;tag=<sip:alice@example.net>;tag=<sip:100@127.0.0.1>sip:200@127.0.0.1:5060',
    ].join(''),
  },
];
