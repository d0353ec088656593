// @ts-check
/**
 * Unpacks the inlined core: base64 of LZMA (https://7-zip.org/sdk.html, `lzma-specification.txt`), with the parameters lc = 3,
 * lp = 0, pb = 0. Base64 alone would make the package larger by a third even after compression by the server, LZMA takes a
 * fifth less than DEFLATE, and the browser's own `DecompressionStream` is asynchronous.
 *
 * What is unpacked is this package's own file, so that nothing here checks for damage: the compiler of WebAssembly does.
 */

/** Where each model begins in the one array of probabilities. */
const IS_MATCH = 0;
const IS_REPEAT = 12;
const IS_REPEAT_0 = 24;
const IS_REPEAT_0_LONG = 36;
const IS_REPEAT_1 = 48;
const IS_REPEAT_2 = 60;
const SLOTS = 72;
const SPECIAL = SLOTS + 4 * 64;
const ALIGN = SPECIAL + 115;
const MATCH_LENGTH = ALIGN + 16;
/** Two choices, two trees of 8, one of 256. */
const REPEAT_LENGTH = MATCH_LENGTH + 274;
const LITERALS = REPEAT_LENGTH + 274;

/**
 * @param {string} base64
 * @param {number} size bytes when unpacked
 */
export function unpack(base64, size) {
  const packed = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const out = new Uint8Array(size);
  const chances = new Uint16Array(LITERALS + (0x300 << 3)).fill(1024);
  // The first byte is always zero.
  let [next, range, value] = [5, 2 ** 32 - 1, new DataView(packed.buffer).getUint32(1)];

  const normalise = () => {
    if (range >= 2 ** 24) return;
    range *= 256;
    value = value * 256 + packed[next];
    next += 1;
  };
  /** One bit by its chance, which learns from it. @param {number} place */
  const bit = (place) => {
    normalise();
    const bound = (range >>> 11) * chances[place];
    if (value < bound) {
      range = bound;
      chances[place] += (2048 - chances[place]) >> 5;
      return 0;
    }
    range -= bound;
    value -= bound;
    chances[place] -= chances[place] >> 5;
    return 1;
  };
  /** @param {number} place @param {number} bits */
  const tree = (place, bits) => {
    let node = 1;
    while (node < 1 << bits) node = (node << 1) | bit(place + node);
    return node - (1 << bits);
  };
  /** Lowest bit first. @param {number} place @param {number} bits */
  const reverse = (place, bits) => {
    let [node, number] = [1, 0];
    for (let index = 0; index < bits; index += 1) {
      const one = bit(place + node);
      node = (node << 1) | one;
      number |= one << index;
    }
    return number;
  };
  /** Bits of even chances. @param {number} bits */
  const direct = (bits) => {
    let number = 0;
    for (let index = 0; index < bits; index += 1) {
      normalise();
      range >>>= 1;
      const one = value >= range ? 1 : 0;
      value -= range * one;
      number = (number << 1) | one;
    }
    return number;
  };
  /** @param {number} place */
  const length = (place) => {
    if (!bit(place)) return 2 + tree(place + 2, 3);
    return bit(place + 1) ? 18 + tree(place + 18, 8) : 10 + tree(place + 10, 3);
  };
  /** @param {number} length */
  const distance = (length) => {
    const slot = tree(SLOTS + Math.min(length - 2, 3) * 64, 6);
    if (slot < 4) return slot;
    const bits = (slot >> 1) - 1;
    const base = (2 | (slot & 1)) << bits;
    return base + (slot < 14 ? reverse(SPECIAL + base - slot, bits) : (direct(bits - 4) << 4) + reverse(ALIGN, 4));
  };

  let state = 0;
  let [last, second, third, fourth] = [0, 0, 0, 0];
  for (let at = 0; at < size; ) {
    if (!bit(IS_MATCH + state)) {
      const chance = LITERALS + 0x300 * ((at > 0 ? out[at - 1] : 0) >> 5);
      let symbol = 1;
      // After a match the byte that would have gone on with it is known to be wrong.
      for (let like = state < 7 ? -1 : out[at - last - 1]; like >= 0 && symbol < 0x100; like = (like << 1) & 0xff) {
        const expected = like >> 7;
        const one = bit(chance + ((1 + expected) << 8) + symbol);
        symbol = (symbol << 1) | one;
        if (one !== expected) break;
      }
      while (symbol < 0x100) symbol = (symbol << 1) | bit(chance + symbol);
      out[at] = symbol;
      at += 1;
      state = state < 4 ? 0 : state - (state < 10 ? 3 : 6);
      continue;
    }
    let end = at;
    if (!bit(IS_REPEAT + state)) {
      [second, third, fourth] = [last, second, third];
      const matched = length(MATCH_LENGTH);
      last = distance(matched);
      end += matched;
      state = state < 7 ? 7 : 10;
    } else {
      const again = bit(IS_REPEAT_0 + state);
      if (!again && !bit(IS_REPEAT_0_LONG + state)) {
        end += 1;
        state = state < 7 ? 9 : 11;
      } else {
        if (again) {
          if (!bit(IS_REPEAT_1 + state)) [last, second] = [second, last];
          else if (!bit(IS_REPEAT_2 + state)) [last, second, third] = [third, last, second];
          else [last, second, third, fourth] = [fourth, last, second, third];
        }
        end += length(REPEAT_LENGTH);
        state = state < 7 ? 8 : 11;
      }
    }
    while (at < end) {
      out[at] = out[at - last - 1];
      at += 1;
    }
  }
  return out;
}
