/** The npm package has no types of its own. Importing `altpath/sip-telephone` gives it these; they are described in sip-types.ts. */
declare module 'sip' {
  const sip: import('./sip-types.ts').SipPackage;
  export default sip;
}
