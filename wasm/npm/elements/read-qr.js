// @ts-check
/**
 * Reads a QR code of Sidekey's own from its modules (ISO/IEC 18004): byte mode. There is no camera between
 * the drawing and its reader, so nothing is repaired: a symbol with a wrong codeword is refused. Written apart from the
 * encoder, so that it can bear witness against it.
 */

/** @typedef {{ size: number, modules: ArrayLike<number | boolean> }} Matrix row by row without the quiet zone, truthy for dark */

/** By level and version: error correction codewords in each block, and number of blocks (table 9). */
const BLOCKS = {
  L: {
    corrections: [7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28, 28, 28, 30, 30, 26, 28, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30],
    counts: [1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8, 8, 9, 9, 10, 12, 12, 12, 13, 14, 15, 16, 17, 18, 19, 19, 20, 21, 22, 24, 25],
  },
  M: {
    corrections: [10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26, 26, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28],
    counts: [1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16, 17, 17, 18, 20, 21, 23, 25, 26, 28, 29, 31, 33, 35, 37, 38, 40, 43, 45, 47, 49],
  },
  Q: {
    corrections: [13, 22, 18, 26, 18, 24, 18, 22, 20, 24, 28, 26, 24, 20, 30, 24, 28, 28, 26, 30, 28, 30, 30, 30, 30, 28, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30],
    counts: [1, 1, 2, 2, 4, 4, 6, 6, 8, 8, 8, 10, 12, 16, 12, 17, 16, 18, 21, 20, 23, 23, 25, 27, 29, 34, 34, 35, 38, 40, 43, 45, 48, 51, 53, 56, 59, 62, 65, 68],
  },
  H: {
    corrections: [17, 28, 22, 16, 22, 28, 26, 26, 24, 28, 24, 28, 22, 24, 24, 30, 28, 28, 26, 28, 30, 24, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30],
    counts: [1, 1, 2, 4, 4, 4, 5, 6, 8, 8, 11, 11, 16, 16, 18, 16, 19, 21, 25, 25, 25, 34, 30, 32, 35, 37, 40, 42, 45, 48, 51, 54, 57, 60, 63, 66, 70, 74, 77, 81],
  },
};

/** Levels by the two bits that stand for them (table 12). @type {(keyof typeof BLOCKS)[]} */
const LEVELS = ["M", "L", "H", "Q"];

/** Masks by their number, x the column and y the row (table 10). @type {((x: number, y: number) => boolean)[]} */
const MASKS = [
  (x, y) => (x + y) % 2 === 0,
  (_, y) => y % 2 === 0,
  (x) => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

const FORMAT_MASK = 0x5412;
const FORMAT_GENERATOR = 0x537;
const BYTE_MODE = 4;

/**
 * The text of a QR code, or null where it is damaged or not of Sidekey's kind.
 * @param {Matrix} matrix
 * @returns {string | null}
 */
export function readQr({ size, modules }) {
  const version = (size - 17) / 4;
  if (!Number.isInteger(version) || version < 1 || version > 40 || modules.length !== size * size) return null;
  const dark = (/** @type {number} */ x, /** @type {number} */ y) => Boolean(modules[y * size + x]);
  const format = readFormat(dark);
  const mask = format && MASKS[format.mask];
  if (!mask) return null;
  const codewords = readCodewords(dark, size, version, mask);
  const blocks = blocksOf(codewords, version, BLOCKS[format.level]);
  return blocks.every(isCodeword) ? textOf(blocks, version) : null;
}

/** Level and mask, from the 15 bits around the upper left finder. @param {(x: number, y: number) => boolean} dark */
function readFormat(dark) {
  let bits = 0;
  const places = [0, 1, 2, 3, 4, 5, 7, 8].map((x) => [x, 8]).concat([7, 5, 4, 3, 2, 1, 0].map((y) => [8, y]));
  for (const [x = 0, y = 0] of places) bits = (bits << 1) | Number(dark(x, y));
  bits ^= FORMAT_MASK;
  let rest = bits;
  for (let bit = 14; bit >= 10; bit -= 1) if (rest & (1 << bit)) rest ^= FORMAT_GENERATOR << (bit - 10);
  const level = LEVELS[bits >> 13];
  return rest === 0 && level ? { level, mask: (bits >> 10) & 7 } : null;
}

/**
 * The codewords in the order of their placement: two columns wide, upwards and downwards in turn, from the right.
 * @param {(x: number, y: number) => boolean} dark
 * @param {number} size
 * @param {number} version
 * @param {(x: number, y: number) => boolean} mask
 */
function readCodewords(dark, size, version, mask) {
  const isFunction = functionPatterns(size, version);
  /** @type {number[]} */
  const codewords = [];
  let count = 0;
  let upwards = true;
  // Column 6 is the timing pattern: the pairs left of it move by one.
  for (let right = size - 1; right > 0; right -= right === 8 ? 3 : 2) {
    for (let step = 0; step < size; step += 1) {
      const y = upwards ? size - 1 - step : step;
      for (const x of [right, right - 1]) {
        if (isFunction(x, y)) continue;
        const bit = Number(dark(x, y) !== mask(x, y));
        const at = count >> 3;
        codewords[at] = ((codewords[at] ?? 0) << 1) | bit;
        count += 1;
      }
    }
    upwards = !upwards;
  }
  return codewords.slice(0, count >> 3);
}

/** Which modules hold no data. @param {number} size @param {number} version @returns {(x: number, y: number) => boolean} */
function functionPatterns(size, version) {
  const centres = alignmentCentres(size, version);
  const last = size - 7;
  const inFinder = (/** @type {number} */ x, /** @type {number} */ y) => (x <= 8 && (y <= 8 || y >= size - 8)) || (x >= size - 8 && y <= 8);
  const inVersion = (/** @type {number} */ x, /** @type {number} */ y) =>
    version >= 7 && ((x < 6 && y >= size - 11) || (y < 6 && x >= size - 11));
  const inAlignment = (/** @type {number} */ x, /** @type {number} */ y) => {
    const column = centres.find((centre) => Math.abs(centre - x) <= 2);
    const row = centres.find((centre) => Math.abs(centre - y) <= 2);
    if (column === undefined || row === undefined) return false;
    const onFinder = (column === 6 && (row === 6 || row === last)) || (column === last && row === 6);
    return !onFinder;
  };
  return (x, y) => x === 6 || y === 6 || inFinder(x, y) || inVersion(x, y) || inAlignment(x, y);
}

/** Rows and columns of the alignment patterns (annex E). @param {number} size @param {number} version */
function alignmentCentres(size, version) {
  if (version === 1) return [];
  const count = Math.floor(version / 7) + 2;
  const step = version === 32 ? 26 : Math.ceil((size - 13) / (2 * count - 2)) * 2;
  return [6, ...Array.from({ length: count - 1 }, (_, index) => size - 7 - step * index)];
}

/** @typedef {{ data: number[], correction: number[] }} Block */

/**
 * The codewords lie interleaved: the data of all blocks, of which the shorter ones come first, then their corrections.
 * @param {number[]} codewords
 * @param {number} version
 * @param {{ corrections: number[], counts: number[] }} table
 * @returns {Block[]}
 */
function blocksOf(codewords, version, { corrections, counts }) {
  const count = counts[version - 1] ?? 1;
  const dataLength = codewords.length - count * (corrections[version - 1] ?? 0);
  const shortLength = Math.floor(dataLength / count);
  const shortBlocks = count - (dataLength % count);
  /** @type {Block[]} */
  const blocks = Array.from({ length: count }, () => ({ data: [], correction: [] }));
  codewords.slice(0, dataLength).forEach((codeword, index) => {
    const round = Math.floor(index / count);
    blocks[round < shortLength ? index % count : shortBlocks + (index % count)]?.data.push(codeword);
  });
  codewords.slice(dataLength).forEach((codeword, index) => blocks[index % count]?.correction.push(codeword));
  return blocks;
}

/**
 * Whether a block is a word of its Reed-Solomon code: as a polynomial it is zero at the first powers of the generator 2 of
 * GF(256), as many as it has corrections.
 * @param {Block} block
 */
function isCodeword({ data, correction }) {
  const word = [...data, ...correction];
  let power = 1;
  for (let root = 0; root < correction.length; root += 1) {
    if (word.reduce((sum, codeword) => times(sum, power) ^ codeword, 0) !== 0) return false;
    power = times(power, 2);
  }
  return true;
}

/** The product in GF(256) modulo x^8 + x^4 + x^3 + x^2 + 1. @param {number} left @param {number} right */
function times(left, right) {
  let product = 0;
  for (let bit = 7; bit >= 0; bit -= 1) {
    product = (product << 1) ^ (product & 0x80 ? 0x11d : 0);
    if (right & (1 << bit)) product ^= left;
  }
  return product;
}

/** The text of one segment in byte mode. @param {Block[]} blocks @param {number} version */
function textOf(blocks, version) {
  const bits = blocks.flatMap(({ data }) => data.map((byte) => byte.toString(2).padStart(8, "0"))).join("");
  const start = version < 10 ? 12 : 20;
  if (parseInt(bits.slice(0, 4), 2) !== BYTE_MODE) return null;
  const length = parseInt(bits.slice(4, start), 2);
  if (start + 8 * length > bits.length) return null;
  const bytes = Uint8Array.from({ length }, (_, index) => parseInt(bits.slice(start + 8 * index, start + 8 * index + 8), 2));
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/**
 * The modules of one of Sidekey's own SVG documents: a square view box and one path of horizontal runs. Null for any other.
 * @param {string} viewBox
 * @param {string} path
 * @returns {Matrix | null}
 */
export function matrixOfPath(viewBox, path) {
  const side = Number(/^0 0 (\d+) \1$/.exec(viewBox)?.[1]);
  const size = side - 2 * QUIET_ZONE;
  if (!(size >= 21 && size <= 177)) return null;
  const runs = path.match(/M\d+ \d+h\d+v1h-\d+z/g) ?? [];
  if (runs.join("") !== path) return null;
  const modules = new Uint8Array(size * size);
  for (const run of runs) {
    const [x = 0, y = 0, width = 0] = (run.match(/\d+/g) ?? []).map(Number);
    if (x < QUIET_ZONE || y < QUIET_ZONE || x - QUIET_ZONE + width > size || y - QUIET_ZONE >= size) return null;
    modules.fill(1, (y - QUIET_ZONE) * size + x - QUIET_ZONE, (y - QUIET_ZONE) * size + x - QUIET_ZONE + width);
  }
  return { size, modules };
}

/** The light border around a symbol, in modules (§5.3.8). */
export const QUIET_ZONE = 4;
