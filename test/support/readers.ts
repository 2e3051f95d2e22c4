/** The readers of all protocols, for tests of the trace. */
export { megacoReader } from '../../protocols/megaco/trace-reader.ts';
export { mgcpReader } from '../../protocols/mgcp/trace-reader.ts';
export { sipReader } from '../../protocols/sip/trace-reader.ts';
