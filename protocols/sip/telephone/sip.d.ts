/** The npm package has no types: what is used of it is described in sip-types.ts and given to it in sip-package.ts. */
declare module 'sip' {
  const sip: unknown;
  export default sip;
}
