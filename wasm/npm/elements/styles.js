// @ts-check
/** The elements' styles. What a page may change has a `--sidekey-…` property or a part. */

const shared = `
:host {
  --_accent: var(--sidekey-accent, #0e6450);
  --_on-accent: var(--sidekey-on-accent, #fff);
  --_soft: var(--sidekey-soft, #53605b);
  --_edge: var(--sidekey-edge, #7d8984);
  --_line: var(--sidekey-line, #dcdad2);
  --_field: var(--sidekey-field, #fff);
  --_ink: var(--sidekey-ink, #1b2421);
  --_danger: var(--sidekey-danger, #a32b18);
  --_warning: var(--sidekey-warning, #8a5d0f);
  --_tint: var(--sidekey-tint, #e5f0ec);
  --_round: var(--sidekey-radius, 0.5rem);
  --_mono: var(--sidekey-mono, ui-monospace, "SF Mono", "Cascadia Mono", "Segoe UI Mono", "Roboto Mono", Menlo, Consolas, monospace);
  display: block;
}
@supports (color: light-dark(#000, #fff)) {
  :host {
    --_accent: var(--sidekey-accent, light-dark(#0e6450, #7fd1b5));
    --_on-accent: var(--sidekey-on-accent, light-dark(#fff, #0b211a));
    --_soft: var(--sidekey-soft, light-dark(#53605b, #a9b8b2));
    --_edge: var(--sidekey-edge, light-dark(#7d8984, #7e8f88));
    --_line: var(--sidekey-line, light-dark(#dcdad2, #323f3a));
    --_field: var(--sidekey-field, light-dark(#fff, #1a2320));
    --_ink: var(--sidekey-ink, light-dark(#1b2421, #e9efec));
    --_danger: var(--sidekey-danger, light-dark(#a32b18, #ff9d88));
    --_warning: var(--sidekey-warning, light-dark(#8a5d0f, #d8aa56));
    --_tint: var(--sidekey-tint, light-dark(#e5f0ec, #1f332c));
  }
}
:host([hidden]), [hidden] { display: none !important; }
.unseen {
  position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap;
}
`;

/** Whole pixels for each module keep its edges sharp, and black on white is what every camera reads. */
export const qrStyles = `${shared}
.frame {
  forced-color-adjust: none;
  color-scheme: only light;
  background: #fff;
  inline-size: min(100%, var(--sidekey-qr-size, 18.5rem));
  inline-size: max(9rem, round(down, min(100%, var(--sidekey-qr-size, 18.5rem)), 1px * var(--_modules, 1)));
  max-inline-size: 100%;
}
.frame svg, ::slotted(svg), ::slotted(img) {
  display: block !important; inline-size: 100% !important; block-size: auto !important; forced-color-adjust: none;
}
`;

export const codeInputStyles = `${shared}
:host { display: grid; grid-template-columns: minmax(0, 1fr); gap: 0.35rem; }
.row { display: flex; align-items: center; gap: 1rem; }
.row ::slotted(*) { flex: 0 1 var(--sidekey-input-size, 20rem); min-inline-size: 0; }
::slotted(*) { margin-block: 0; }
::slotted(.sidekey-label) { font-weight: 650; }
::slotted(.sidekey-hint) { color: var(--_soft); font-size: 0.9375em; }
::slotted(.sidekey-error) { color: var(--_danger); font-weight: 550; }
::slotted(.sidekey-clock-hint) { border-inline-start: 0.25rem solid var(--_accent); padding-inline-start: 0.75rem; }
::slotted(.sidekey-error:empty), ::slotted(.sidekey-clock-hint:empty) { display: none; }
::slotted(.sidekey-input) {
  box-sizing: border-box;
  inline-size: 100%;
  min-block-size: 3.25rem;
  padding: 0.4rem 0.8rem;
  border: 1px solid var(--_edge);
  border-radius: var(--_round);
  background: var(--_field);
  color: var(--_ink);
  font-family: var(--_mono);
  font-size: 1.5rem;
  font-variant-numeric: tabular-nums;
  letter-spacing: 0.15em;
}
::slotted(.sidekey-input.sidekey-backup) { font-size: 1.1rem; letter-spacing: 0.05em; text-transform: uppercase; }
::slotted(.sidekey-input:focus-visible) { outline: 3px solid var(--_accent); outline-offset: 1px; }
::slotted(.sidekey-input[aria-invalid="true"]) { border-color: var(--_danger); box-shadow: inset 0 0 0 1px var(--_danger); }
.ring { position: relative; flex: none; display: grid; place-items: center; inline-size: 3rem; block-size: 3rem; color: var(--_accent); }
.ring svg { position: absolute; inset: 0; fill: none; stroke-width: 4; transform: rotate(-90deg); }
.track { stroke: var(--_line); }
.hand { stroke: currentColor; transition: stroke-dasharray 1s linear; }
.ring.soon { color: var(--_danger); }
.left { color: CanvasText; font-size: 0.9375rem; font-variant-numeric: tabular-nums; font-weight: 650; }
.wait { font-variant-numeric: tabular-nums; font-weight: 600; margin: 0; }
@media (prefers-reduced-motion: reduce) { .hand { transition: none; } }
@media (forced-colors: active) { .track { stroke: Canvas; } .hand { stroke: CanvasText; } }
`;

export const enrollStyles = `${shared}
:host { line-height: 1.5; }
* { box-sizing: border-box; }
h2, h3, h4, p, ol { margin: 0; }
h2 { font-size: 1.5em; line-height: 1.25; }
h3 { font-size: 1.15em; line-height: 1.3; }
h4 { font-size: 1em; }
[tabindex="-1"]:focus { outline: none; }
:focus-visible { outline: 3px solid var(--_accent); outline-offset: 2px; }
a { color: var(--_accent); text-underline-offset: 0.2em; }
.view, .step, .stack, form { display: grid; grid-template-columns: minmax(0, 1fr); gap: 1rem; }
.steps { list-style: none; padding: 0; display: grid; grid-template-columns: minmax(0, 1fr); gap: 1rem; }
.step { padding: clamp(1rem, 0.6rem + 2vw, 1.5rem); border: 1px solid var(--_line); border-radius: var(--_round); }
.scan { display: flex; flex-wrap: wrap; gap: 1.25rem 2rem; }
.scan > sidekey-qr { flex: 0 1 18.5rem; min-inline-size: min(100%, 14rem); }
.scan > .stack { flex: 1 1 14rem; align-content: start; }
.hint { color: var(--_soft); font-size: 0.9375em; }
.key { font-family: var(--_mono); font-size: 1.1em; overflow-wrap: anywhere; user-select: all; }
.key span { display: inline-block; }
.key span:not(:last-of-type) { margin-inline-end: 0.6em; }
.button {
  display: inline-flex; align-items: center; justify-content: center; justify-self: start;
  min-block-size: 2.75rem; padding: 0.4rem 1.1rem;
  border: 1px solid var(--_edge); border-radius: var(--_round); background: none; color: inherit;
  font: inherit; font-weight: 600; text-align: center; text-decoration: none; cursor: pointer;
}
.button:hover { border-color: var(--_accent); }
.button.primary { border-color: var(--_accent); background: var(--_accent); color: var(--_on-accent); }
.button.wide { justify-self: stretch; }
.button[aria-disabled="true"] { border-color: var(--_edge); background: var(--_line); color: var(--_ink); cursor: default; }
.actions { display: flex; flex-wrap: wrap; gap: 0.625rem; }
.preflight { display: grid; gap: 0.35rem; font-size: 0.9375em; }
.preflight .clock { display: flex; flex-wrap: wrap; align-items: center; gap: 0.25rem 0.75rem; }
.preflight meter { inline-size: 7rem; }
.warning { border-inline-start: 0.3rem solid var(--_warning); padding-inline-start: 0.75rem; font-weight: 550; }
.warning:empty, .error:empty { display: none; }
.error { color: var(--_danger); font-weight: 550; }
.codes {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 13.5rem), 1fr)); gap: 0.35rem 1.5rem;
  padding: 1rem; list-style: none; border: 1px solid var(--_line); border-radius: var(--_round);
  font-family: var(--_mono); font-size: 1.05em;
}
.check { display: flex; align-items: start; gap: 0.75rem; }
.check input { flex: none; inline-size: 1.5rem; block-size: 1.5rem; margin: 0; accent-color: var(--_accent); }
.check label { font-weight: 600; }
@media (forced-colors: active) {
  .button.primary { forced-color-adjust: none; border-color: ButtonText; background: ButtonText; color: ButtonFace; }
  .button[aria-disabled="true"] { border-color: GrayText; background: ButtonFace; color: GrayText; }
}
`;

/** Of the document, while backup codes are printed: nothing but them, black on white. */
export const printStyles = `
@media not print { .sidekey-sheet { display: none !important; } }
@media print {
  html, body { background: #fff !important; }
  body > :not(.sidekey-sheet) { display: none !important; }
  .sidekey-sheet { color: #000; font-family: sans-serif; }
  .sidekey-sheet ol { list-style: none; padding: 0; font: 14pt/1.8 monospace; }
}
`;
