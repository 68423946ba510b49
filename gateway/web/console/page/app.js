// Which page is shown, who is signed in, and that it stays fresh.

import { ask, session } from "./api.js";
import { audit } from "./audit.js";
import { customers, customer } from "./customers.js";
import { h, patch } from "./dom.js";
import { health } from "./health.js";
import { overview } from "./overview.js";
import { event, events, messages, usage } from "./queues.js";

const EVERY = 2000;
const SHARE = 20; // of the time at most one part goes into looking
const PAGES = [
  [/^#\/customers\/(.+)$/, customer],
  [/^#\/customers(?:\?.*)?$/, customers],
  [/^#\/events\/(.+)$/, event],
  [/^#\/events$/, events],
  [/^#\/messages$/, messages],
  [/^#\/usage$/, usage],
  [/^#\/health$/, health],
  [/^#\/audit$/, audit],
];
const BEGUN = "sign-in-begun";
const main = document.querySelector("#main");
const live = document.querySelector("#live");
let shown = 0;
let refresh = null;
let due;

/** Show the page that the address names. */
async function show() {
  const mine = ++shown;
  refresh = null;
  tell();
  if (!(await signedIn())) return;
  const place = location.hash || "#/";
  const [pattern, page] = PAGES.find(([each]) => each.test(place)) ?? [/^/, overview];
  const named = pattern.exec(place)?.[1];
  for (const link of document.querySelectorAll("#nav a")) {
    const here = link.hash === "#/" ? page === overview : place.startsWith(link.hash);
    here ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
  }
  main.setAttribute("aria-busy", "true");
  try {
    const make = () => page(named && decodeURIComponent(named), show);
    const made = await make();
    if (mine !== shown) return;
    main.replaceChildren(...made.content);
    refresh = made.refresh ?? (async () => {
      const { content } = await make();
      if (mine === shown) patch(main, content);
    });
    tell("live");
  } catch (failure) {
    if (mine === shown) failed(failure);
  }
  main.removeAttribute("aria-busy");
  const title = main.querySelector("h1");
  document.title = `${title?.textContent ?? "Console"} · Billing console`;
  if (mine > 1) title?.focus();
}

function failed(failure) {
  if (failure.code === "UNAUTHENTICATED") return leave(failure.message);
  main.replaceChildren(h("h1", {}, "Not shown"), h("p", { class: "problem", role: "alert" }, failure.message));
}

async function signedIn() {
  if (session.token && !session.operator) {
    try {
      session.operator = await ask("who");
    } catch (failure) {
      leave(failure.message);
      return false;
    }
  }
  const is = Boolean(session.operator);
  document.querySelector("#nav").hidden = document.querySelector("#who").hidden = !is;
  if (is) document.querySelector("#who span").textContent = `${session.operator.name} (${session.operator.role.toLowerCase()})`;
  else signIn();
  return is;
}

function signIn(problem) {
  const field = h("input", { type: "password", name: "token", autocomplete: "off", required: true, spellcheck: "false" });
  const form = h("form", { class: "card sign-in", onsubmit: (submitted) => {
    submitted.preventDefault();
    session.token = field.value.trim();
    show();
  } },
  h("h1", {}, "Sign in"),
  h("p", { class: "note" }, "With an operator’s token, or one of the operators’ provider. It is forgotten with this tab."),
  h("label", {}, "Token", field),
  problem && h("p", { class: "problem", role: "alert" }, problem),
  h("div", { class: "tools" }, h("button", {}, "Sign in"),
    document.body.dataset.provider === "yes" && h("a", { class: "button", href: "/console/sign-in", onclick: () => sessionStorage.setItem(BEGUN, "yes") }, "With your provider")));
  main.replaceChildren(form);
  field.focus();
}

function leave(problem) {
  session.token = null;
  session.operator = null;
  document.querySelector("#nav").hidden = document.querySelector("#who").hidden = true;
  refresh = null;
  tell();
  signIn(problem);
}

/** Look again while the page is seen and no question is open, and say how fresh it is. */
async function again() {
  const mine = shown;
  const begun = performance.now();
  if (refresh && !document.hidden && !document.querySelector("dialog")) {
    try {
      await refresh();
      if (mine === shown) tell("live");
    } catch (failure) {
      if (mine === shown) failure.code === "UNAUTHENTICATED" ? leave(failure.message) : tell("stale", failure.message);
    }
  }
  clearTimeout(due);
  due = setTimeout(again, Math.max(EVERY, SHARE * (performance.now() - begun)));
}

/** Say whether what is shown is kept fresh; words that say the same are not told again to who listens. */
function tell(how, problem) {
  live.dataset.state = how ?? "";
  const words = { live: "Live", stale: `Not live: ${problem}` }[how] ?? "";
  if (live.firstChild.textContent !== words) live.firstChild.textContent = words;
  if (how === "live") live.lastChild.textContent = ` ${new Date().toISOString().slice(11, 19)}`;
  if (!how) live.lastChild.textContent = "";
}

/** Take the token that a sign-in has brought, if this tab has begun one: no link signs anybody in. */
function arrive() {
  if (!location.hash.startsWith("#token=")) return;
  if (sessionStorage.getItem(BEGUN)) session.token = decodeURIComponent(location.hash.slice("#token=".length));
  sessionStorage.removeItem(BEGUN);
  history.replaceState(null, "", "/console");
}

document.querySelector("#leave").addEventListener("click", () => leave());
document.querySelector("#skip").addEventListener("click", (clicked) => {
  clicked.preventDefault();
  main.focus();
});
addEventListener("hashchange", () => {
  arrive();
  show();
});
document.addEventListener("visibilitychange", () => document.hidden || again());
arrive();
await show();
due = setTimeout(again, EVERY);
