// How an account looks: tiles beside each other where the element has room.

export const ACCOUNT = `
:host { container-type: inline-size; }
.done { margin-bottom: 1.25rem; border-color: var(--ok); background: var(--ok-soft); color: var(--ok); text-align: start; }
.account { display: grid; grid-template-columns: minmax(0, 1fr); gap: 1.25rem; }
.tile { min-width: 0; padding: 1.6rem; border: 1px solid var(--line); border-radius: var(--radius); background: var(--surface); box-shadow: var(--shadow); }
.tile > p { margin-top: 0.75rem; color: var(--muted); }
.tile .features { margin-top: 1rem; }
.used { display: block; width: 100%; height: 0.6rem; margin-top: 0.35rem; accent-color: var(--accent); }
.features small { color: var(--muted); }
.tile > .eyebrow { margin: 0 0 0.25rem; font-size: 0.875rem; font-weight: 600; }
.alarm { margin-top: 1rem; padding: 1rem; border-radius: 0.8rem; background: var(--danger-soft); color: var(--danger); }
.alarm .row { margin-top: 0.75rem; }
@container (min-width: 40rem) {
  .account { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .wide { grid-column: 1 / -1; }
}
.tile h2 { display: flex; flex-wrap: wrap; align-items: center; gap: 0.6rem; }
.account dl { margin-top: 1rem; }
.account dl div { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0.15rem 1.5rem; padding-block: 0.6rem; border-top: 1px solid var(--line); }
.account dt { color: var(--muted); }
.account dd { font-weight: 550; font-variant-numeric: tabular-nums; }
.row { display: flex; flex-wrap: wrap; gap: 0.75rem; margin-top: 1.25rem; }
.tile .quiet { background: transparent; }
.danger { background: var(--danger); color: var(--surface); }
.danger:hover { background: var(--danger); color: var(--surface); text-decoration: underline; }
.sheet { margin-top: 1.5rem; padding-top: 1.5rem; border-top: 1px solid var(--line); }
.fields { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(14rem, 100%), 1fr)); gap: 1rem; margin-top: 1rem; }
.fields label { display: grid; gap: 0.35rem; color: var(--muted); font-size: 0.9375rem; }
.fields :is(select, textarea, label > input) { width: 100%; padding: 0.6rem 0.8rem; border: 1px solid var(--line-strong); border-radius: 0.7rem; background: var(--surface); color: var(--ink); font: inherit; }
.sheet > p { margin-top: 0.5rem; color: var(--muted); }
.addon { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: 0.35rem 1.5rem; }
.addon .quantity { margin: 0.35rem 0 0; }
.sheet fieldset { margin-top: 1rem; border: 0; }
.label { padding: 0; color: var(--muted); font-size: 0.9375rem; }
.fields .quantity { margin: 0.35rem 0 0; }
.offer { display: grid; gap: 0.75rem; justify-items: start; margin-top: 1rem; padding: 1rem; border-radius: 0.8rem; background: var(--accent-soft); }
.option { display: flex; gap: 0.6rem; padding-block: 0.3rem; }
.quote { margin-top: 1.25rem; }
.lines { padding: 0; list-style: none; color: var(--muted); font-size: 0.9375rem; }
.tile > .lines { margin-top: 0.75rem; }
.lines li { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0.1rem 1.5rem; padding-block: 0.3rem; font-variant-numeric: tabular-nums; }
.invoices { margin-top: 1rem; padding: 0; list-style: none; font-variant-numeric: tabular-nums; }
.invoices li { display: grid; grid-template-columns: 1fr auto; align-items: center; gap: 0.4rem 1rem; padding-block: 0.8rem; border-top: 1px solid var(--line); }
.invoices small { display: block; color: var(--muted); font-size: 0.8125rem; }
.invoices .state { justify-self: start; }
.invoices .amount { text-align: end; }
.links { display: flex; gap: 0.9rem; justify-content: end; }
@container (min-width: 40rem) {
  .invoices li { grid-template-columns: 1.6fr 1fr 1fr 8rem; }
}
`;
