// The style that all elements share. Light and dark follow the page's `color-scheme`; every pair of text and ground has a
// contrast of 4.5 or more. What a page may set begins with `--billing-`.

export const BASE = `
:host {
  --accent: var(--billing-accent, light-dark(#4f46e5, #a9a4ff));
  --accent-strong: var(--billing-accent-strong, light-dark(#3c33c4, #c4c0ff));
  --on-accent: var(--billing-on-accent, light-dark(#ffffff, #17143a));
  --accent-soft: var(--billing-accent-soft, light-dark(#ecebff, #2a2750));
  --surface: var(--billing-surface, light-dark(#ffffff, #1a1828));
  --sunken: var(--billing-sunken, light-dark(#f1f1f8, #232135));
  --ink: var(--billing-ink, light-dark(#17152b, #f0effa));
  --muted: var(--billing-muted, light-dark(#5b5873, #aaa7c2));
  --line: var(--billing-line, light-dark(#e2e1ee, #312e47));
  --line-strong: var(--billing-line-strong, light-dark(#8a87a3, #77739a));
  --ok: var(--billing-ok, light-dark(#0f6b3d, #7fe0ab));
  --ok-soft: var(--billing-ok-soft, light-dark(#def5e8, #143524));
  --danger: var(--billing-danger, light-dark(#b42318, #ffa69c));
  --danger-soft: var(--billing-danger-soft, light-dark(#fdecea, #3d1c1a));
  --radius: var(--billing-radius, 1.1rem);
  --shadow: var(--billing-shadow, 0 1px 2px rgb(23 21 43 / 6%), 0 12px 32px -12px rgb(23 21 43 / 14%));
  display: block;
  color: var(--ink);
  font-family: var(--billing-font, inherit);
  line-height: 1.55;
  overflow-wrap: anywhere;
}
:host([hidden]) { display: none; }
*, *::before, *::after { box-sizing: border-box; }
h1, h2, h3, p, dl, dd, ul, fieldset { margin: 0; padding: 0; }
h2 { font-size: 1.4rem; line-height: 1.3; letter-spacing: -0.015em; }
h3 { font-size: 1.2rem; line-height: 1.3; letter-spacing: -0.012em; }
fieldset { border: 0; }
a { color: var(--accent); text-underline-offset: 0.2em; }
a:hover { color: var(--accent-strong); }
code { font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 0.875em; }
:is(h1, h3):focus { outline: none; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.visually-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.notice { padding: 0.75rem 1.1rem; border: 1px solid var(--line); border-radius: 0.75rem; background: var(--surface); text-align: center; }
.price { color: var(--muted); font-size: 0.9375rem; }
.price strong { display: block; color: var(--ink); font-size: 2.1rem; font-weight: 700; line-height: 1.15; letter-spacing: -0.03em; font-variant-numeric: tabular-nums; }
.features { display: grid; gap: 0.55rem; list-style: none; font-size: 0.9375rem; }
.features li { display: grid; grid-template-columns: 1.35rem 1fr; }
.features li::before { content: "✓" / ""; color: var(--accent); font-weight: 700; }
.quantity { display: flex; flex-wrap: wrap; align-items: center; gap: 0.5rem 0.8rem; margin-bottom: 0.9rem; }
.counter { display: flex; border: 1px solid var(--line-strong); border-radius: 0.7rem; }
.counter :is(input, button) { height: 2.4rem; padding: 0; border: 0; background: transparent; color: var(--ink); font: inherit; border-radius: 0.7rem; }
.counter input { width: 3.5rem; text-align: center; appearance: textfield; font-variant-numeric: tabular-nums; }
.counter input::-webkit-inner-spin-button { display: none; }
.step { width: 2.1rem; font-size: 1.15rem; cursor: pointer; }
.step:hover { background: var(--sunken); }
.sum { color: var(--muted); font-size: 0.9375rem; font-variant-numeric: tabular-nums; }
.button { display: inline-block; padding: 0.7rem 1.35rem; border: 1px solid transparent; border-radius: 0.75rem; background: var(--accent); color: var(--on-accent); font: inherit; font-weight: 600; text-decoration: none; text-align: center; cursor: pointer; transition: background 0.15s; }
.button:hover { background: var(--accent-strong); color: var(--on-accent); }
.button:disabled { opacity: 0.65; cursor: progress; }
.quiet { border-color: var(--line-strong); background: transparent; color: var(--ink); }
.quiet:hover { border-color: var(--accent); background: var(--accent-soft); color: var(--ink); }
.problem:not(:empty) { margin-top: 0.6rem; padding: 0.6rem 0.8rem; border-radius: 0.6rem; background: var(--danger-soft); color: var(--danger); font-size: 0.9rem; }
.state { padding: 0.1rem 0.6rem; border-radius: 99rem; background: var(--ok-soft); color: var(--ok); font-size: 0.8125rem; font-weight: 650; white-space: nowrap; }
.state.bad { background: var(--danger-soft); color: var(--danger); }
.failure { display: flex; flex-wrap: wrap; align-items: center; justify-content: center; gap: 0.75rem 1.5rem; padding: 1.5rem; border: 1px solid var(--line); border-radius: var(--radius); background: var(--surface); }
.failure .problem { margin: 0; }
@media (prefers-reduced-motion: reduce) {
  *, *::before, *::after { animation: none !important; transition: none !important; }
}
`;
