/** The core, for `ready()` of `sidekey/slim`; what an import of it gives is the bundler's or the runtime's choice. */
declare const core: WebAssembly.Module;
export default core;
