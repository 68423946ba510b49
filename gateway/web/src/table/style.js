// How a pricing table looks. The parts of neighbouring cards stand on common lines (subgrid), so that prices and buttons
// can be compared at a glance. The room that counts is the element's own, not the window's.

export const TABLE = `
:host { container-type: inline-size; }
.controls { display: flex; flex-wrap: wrap; align-items: center; justify-content: center; gap: 0.85rem; min-height: 3rem; margin-bottom: 2.25rem; }
.segments { display: flex; padding: 0.25rem; border: 1px solid var(--line); border-radius: 99rem; background: var(--surface); }
.segments label { position: relative; cursor: pointer; }
.segments input { position: absolute; opacity: 0; }
.segments span { display: flex; align-items: center; gap: 0.55rem; padding: 0.45rem 1.05rem; border-radius: 99rem; color: var(--muted); font-size: 0.9375rem; font-weight: 550; }
.segments label:hover span { color: var(--ink); }
.segments input:checked + span { background: var(--accent); color: var(--on-accent); }
.segments input:focus-visible + span { outline: 3px solid var(--accent); outline-offset: 2px; }
.saving { padding: 0.1rem 0.5rem; border-radius: 99rem; background: var(--ok-soft); color: var(--ok); font-size: 0.75rem; font-style: normal; font-weight: 650; white-space: nowrap; }
@container (max-width: 26rem) {
  .segments { border-radius: 1.5rem; }
  .segments label { display: grid; }
  .segments span { flex-direction: column; justify-content: center; gap: 0.1rem; padding-inline: 0.7rem; white-space: nowrap; }
}
.pill { position: relative; }
.pill select { height: 2.85rem; padding-block: 0; padding-inline: 1.1rem 2.4rem; border: 1px solid var(--line); border-radius: 99rem; background: var(--surface); color: var(--ink); font: inherit; font-size: 0.9375rem; font-weight: 550; appearance: none; cursor: pointer; }
.pill::after { content: ""; position: absolute; inset-inline-end: 1.15rem; top: calc(50% - 0.35rem); width: 0.45rem; height: 0.45rem; border: solid var(--muted); border-width: 0 2px 2px 0; transform: rotate(45deg); pointer-events: none; }
.cards { --columns: 1; display: grid; grid-template-columns: repeat(var(--columns), minmax(0, 23rem)); justify-content: center; gap: 1.25rem; transition: opacity 0.15s; }
@container (min-width: 40rem) {
  .cards:has(> :nth-child(2)) { --columns: 2; }
}
@container (min-width: 60rem) {
  .cards:has(> :nth-child(3)) { --columns: 3; }
  .cards:has(> :last-child:is(:nth-child(4), :nth-child(7), :nth-child(8))) { --columns: 4; }
}
[aria-busy=true] section { opacity: 0.55; }
.card { position: relative; grid-row: span 4; display: grid; grid-template-rows: subgrid; align-content: start; row-gap: 1.15rem; min-width: 0; padding: 1.6rem; border: 1px solid var(--line); border-radius: var(--radius); background: var(--surface); box-shadow: var(--shadow); }
.card:not(:has(.included)) { grid-row: span 3; }
.featured { border-color: var(--accent); box-shadow: 0 0 0 1px var(--accent), var(--shadow); }
.badge { position: absolute; top: 0; left: 50%; transform: translate(-50%, -50%); padding: 0.15rem 0.75rem; border-radius: 99rem; background: var(--accent); color: var(--on-accent); font-size: 0.75rem; font-weight: 650; white-space: nowrap; }
.description { margin-top: 0.3rem; color: var(--muted); font-size: 0.9375rem; }
.billing { display: grid; gap: 0.25rem; margin-top: 0.25rem; list-style: none; color: var(--muted); font-size: 0.875rem; }
.billing li { display: flex; flex-wrap: wrap; align-items: center; gap: 0.15rem 0.5rem; }
.order { align-self: end; }
.order .button { width: 100%; }
.card:not(.featured) .button { border-color: var(--line-strong); background: transparent; color: var(--ink); }
.card:not(.featured) .button:hover { border-color: var(--accent); background: var(--accent-soft); color: var(--ink); }
.hint { margin-bottom: 0.6rem; color: var(--muted); font-size: 0.9rem; }
.mine { border-color: var(--ok); box-shadow: 0 0 0 1px var(--ok), var(--shadow); }
.included { padding-top: 1.25rem; border-top: 1px solid var(--line); }
.tiers { width: 100%; border-collapse: collapse; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
.features + .tiers { margin-top: 1.25rem; }
.tiers caption { padding-bottom: 0.35rem; color: var(--muted); text-align: start; }
.tiers :is(th, td) { padding: 0.35rem 0; border-top: 1px solid var(--line); font-weight: 400; text-align: start; }
.tiers td { text-align: end; }
.skeleton { display: block; grid-row: auto; height: 26rem; animation: pulse 1.6s ease-in-out infinite; }
@keyframes pulse { 50% { opacity: 0.4; } }
.plans > h2 { position: absolute; clip-path: inset(50%); }
section > h2 { margin: 3.25rem 0 1.25rem; text-align: center; }
@container (min-width: 40rem) {
  .usage .cards { grid-template-columns: 1fr; }
  .usage .card { grid-row: auto; grid-template: "header included" auto "price included" auto "order included" 1fr / 1fr 1.4fr; gap: 1.1rem 2.5rem; }
  .usage header { grid-area: header; }
  .usage .order { grid-area: order; align-self: end; max-width: 20rem; }
  .usage .included { grid-area: included; display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: 1rem 2.5rem; align-content: center; padding-block: 0; padding-inline: 2.5rem 0; border: 0; border-inline-start: 1px solid var(--line); }
  .usage .features { align-content: start; }
  .usage .features + .tiers { margin: 0; }
}
.scroll { position: relative; overflow-x: auto; border: 1px solid var(--line); border-radius: var(--radius); background: var(--surface); }
.comparison table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
.comparison :is(th, td) { min-width: 6.5rem; padding: 0.75rem 1.1rem; text-align: center; }
.comparison tbody :is(th, td) { border-top: 1px solid var(--line); }
.comparison tbody th { position: sticky; inset-inline-start: 0; min-width: 8rem; background: var(--surface); font-weight: 500; text-align: start; }
`;
