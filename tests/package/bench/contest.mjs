// How often a second either side does the same thing, in whatever runs this: Node.js or a page.

const SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const URI = `otpauth://totp/Example:ann%40example.com?secret=${SECRET}&issuer=Example&algorithm=SHA1&digits=6&period=30`;
const TURNS = 7;
const TURN_MS = 150;
const STEP_MS = 30_000;

/** What a side does once. @typedef {() => unknown} Work */
/** @typedef {{ what: string, ours: number, theirs: number }} Row */
/** @typedef {{ sidekey: typeof import("sidekey"), otpauth: typeof import("otpauth"), qrcode: any }} Sides */

/**
 * Both sides take turns, and the best of their turns counts, so that the ratios hold on a busy machine too.
 *
 * @param {string} what @param {Work} ours @param {Work} theirs @returns {Promise<Row>} times a second
 */
async function perSecond(what, ours, theirs) {
  const best = { what, ours: 0, theirs: 0 };
  for (let turn = 0; turn < TURNS; turn += 1) {
    best.ours = Math.max(best.ours, await rate(ours));
    best.theirs = Math.max(best.theirs, await rate(theirs));
  }
  return best;
}

/** @param {Work} work */
async function rate(work) {
  const start = performance.now();
  let times = 0;
  let taken = 0;
  while (taken < TURN_MS) {
    const result = work();
    if (result instanceof Promise) await result;
    times += 1;
    taken = performance.now() - start;
  }
  return (times / taken) * 1000;
}

/** A code for each step, so that none is remembered; a secret that is kept, and one that is read each time. @param {Sides} sides */
export async function contest({ sidekey, otpauth, qrcode }) {
  const { preview, qrMatrix, qrSvg } = sidekey;
  const { Secret, TOTP } = otpauth;
  let atMs = 0;
  const next = () => (atMs += STEP_MS);
  const rows = [];
  for (const algorithm of /** @type {const} */ (["SHA1", "SHA256", "SHA512"])) {
    const kept = new TOTP({ secret: Secret.fromBase32(SECRET), algorithm });
    const [ours, theirs] = [() => preview({ secret: SECRET, algorithm }, next()), () => kept.generate({ timestamp: next() })];
    rows.push(await perSecond(`codes a second, ${algorithm.replace("SHA", "SHA-")}`, ours, theirs));
  }
  const read = () => new TOTP({ secret: Secret.fromBase32(SECRET) }).generate({ timestamp: next() });
  rows.push(await perSecond("codes a second, the secret read from its text each time", () => preview({ secret: SECRET }, next()), read));
  const level = { errorCorrectionLevel: "M" };
  rows.push(await perSecond("QR codes a second, as modules", () => qrMatrix(URI), () => qrcode.create(URI, level)));
  rows.push(await perSecond("QR codes a second, as SVG", () => qrSvg(URI), () => qrcode.toString(URI, { ...level, type: "svg" })));
  return rows;
}
