// How the state of a checkout looks.

export const STATUS = `
.panel { max-width: 35rem; margin: 0 auto; padding: clamp(1.5rem, 5vw, 2.75rem); border: 1px solid var(--line); border-radius: var(--radius); background: var(--surface); box-shadow: var(--shadow); text-align: center; }
.panel h1 { font-size: clamp(1.6rem, 1.3rem + 1.4vw, 2.1rem); line-height: 1.1; letter-spacing: -0.028em; text-wrap: balance; }
.panel > p { margin-block: 0.6rem 1.4rem; color: var(--muted); }
.panel dl { margin-bottom: 1.75rem; border-bottom: 1px solid var(--line); text-align: start; }
.panel dl div { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0.15rem 1.5rem; padding-block: 0.7rem; border-top: 1px solid var(--line); }
.panel dt { color: var(--muted); }
.panel dd { font-weight: 550; font-variant-numeric: tabular-nums; }
.panel code { color: var(--muted); font-weight: 400; }
.actions { display: flex; flex-wrap: wrap; align-items: center; justify-content: center; gap: 0.75rem 1.5rem; }
.tick { display: grid; place-items: center; width: 3.5rem; height: 3.5rem; margin: 0 auto 1.1rem; border-radius: 50%; background: var(--ok-soft); color: var(--ok); font-size: 1.6rem; font-weight: 700; }
`;
