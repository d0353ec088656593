// @ts-check
/**
 * Unpacks the inlined core: base64 of DEFLATE (RFC 1951). The browser's own `DecompressionStream` is asynchronous, and the
 * bytes as plain base64 would make the package larger by a third even after compression by the server.
 *
 * What is unpacked is this package's own file, so that nothing here checks for damage: the compiler of WebAssembly does.
 */

/** §3.2.5: the bases of lengths and distances; the extra bits follow from the place. @param {number} count @param {number} first @param {number} group */
function bases(count, first, group) {
  const list = [];
  for (let index = 0, base = first; index < count; index += 1) {
    const extra = Math.max(0, Math.floor(index / group) - 1);
    list.push({ base, extra });
    base += 1 << extra;
  }
  return list;
}

const LENGTHS = bases(28, 3, 4).concat({ base: 258, extra: 0 });
const DISTANCES = bases(30, 1, 2);
/** §3.2.7 */
const ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/** @typedef {{ counts: number[], symbols: number[] }} Code how many codes have each length, and their symbols in order (§3.2.2) */

/** @param {number[]} lengths @returns {Code} */
function code(lengths) {
  const counts = Array(16).fill(0);
  for (const length of lengths) counts[length] += 1;
  counts[0] = 0;
  const symbols = lengths.map((_, symbol) => symbol).filter((symbol) => lengths[symbol] > 0);
  // Sorting is stable: symbols of one length keep their order.
  return { counts, symbols: symbols.sort((a, b) => lengths[a] - lengths[b]) };
}

/** §3.2.6 */
const FIXED = [code([144, 112, 24, 8].flatMap((count, group) => Array(count).fill([8, 9, 7, 8][group]))), code(Array(30).fill(5))];

/** @param {string} base64 */
export function inflate(base64) {
  const packed = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  /** @type {number[]} */
  const out = [];
  let position = 0;

  /** @param {number} count */
  const bits = (count) => {
    let value = 0;
    for (let index = 0; index < count; index += 1, position += 1) {
      value |= ((packed[position >> 3] >> (position & 7)) & 1) << index;
    }
    return value;
  };

  /** @param {Code} table */
  const symbol = ({ counts, symbols }) => {
    let [value, first, index] = [0, 0, 0];
    for (let length = 1; ; length += 1) {
      value |= bits(1);
      if (value - first < counts[length]) return symbols[index + value - first];
      index += counts[length];
      first = (first + counts[length]) << 1;
      value <<= 1;
    }
  };

  /** §3.2.4: whole bytes, from the next whole byte on, after their number and its complement. */
  const stored = () => {
    position = (position + 7) & ~7;
    const start = (position >> 3) + 4;
    const end = start + bits(16);
    out.push(...packed.subarray(start, end));
    position = end << 3;
  };

  /** §3.2.7 */
  const dynamic = () => {
    const [literals, distances, lengths] = [bits(5) + 257, bits(5) + 1, bits(4) + 4];
    /** @type {number[]} */
    const own = Array(19).fill(0);
    for (const place of ORDER.slice(0, lengths)) own[place] = bits(3);
    const table = code(own);
    /** @type {number[]} */
    const all = [];
    while (all.length < literals + distances) {
      const next = symbol(table);
      if (next < 16) all.push(next);
      else if (next === 16) all.push(...Array(bits(2) + 3).fill(all.at(-1)));
      else all.push(...Array(next === 17 ? bits(3) + 3 : bits(7) + 11).fill(0));
    }
    return [code(all.slice(0, literals)), code(all.slice(literals))];
  };

  for (let last = 0; !last; ) {
    last = bits(1);
    const type = bits(2);
    if (type === 0) {
      stored();
      continue;
    }
    const [literals, distances] = type === 1 ? FIXED : dynamic();
    for (let next = symbol(literals); next !== 256; next = symbol(literals)) {
      if (next < 256) {
        out.push(next);
        continue;
      }
      const { base: length, extra } = LENGTHS[next - 257];
      const end = out.length + length + bits(extra);
      const from = DISTANCES[symbol(distances)];
      const distance = from.base + bits(from.extra);
      while (out.length < end) out.push(out[out.length - distance]);
    }
  }
  return Uint8Array.from(out);
}
