// @ts-check
/** Unpacks the inlined core, with a module that comes beside it (`wasm/unpack` of the repository says why). */

/** What that module exports. @typedef {{ memory: WebAssembly.Memory; text: () => number; bytes: (size: number) => number }} Unpacker */

/**
 * @param {string} unpacker base64 of a module
 * @param {string} text what is packed
 * @param {number} size bytes when unpacked
 */
export function unpack(unpacker, text, size) {
  const module = Uint8Array.from(atob(unpacker), (character) => character.charCodeAt(0));
  const exports = /** @type {Unpacker} */ (new WebAssembly.Instance(new WebAssembly.Module(module)).exports);
  const { memory } = exports;
  new TextEncoder().encodeInto(text, new Uint8Array(memory.buffer, exports.text(), text.length));
  return new Uint8Array(memory.buffer, exports.bytes(size), size);
}
