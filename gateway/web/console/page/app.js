// Which page is shown, who is signed in, and that it stays fresh.

import { ask, session } from "./api.js";
import { audit } from "./audit.js";
import { customers, customer } from "./customers.js";
import { h } from "./dom.js";
import { health } from "./health.js";
import { overview } from "./overview.js";
import { event, events, messages, usage } from "./queues.js";

const EVERY = 5000;
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
let shown = 0;
let refresh = null;

/** Show the page that the address names. */
async function show() {
  const mine = ++shown;
  refresh = null;
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
    const made = await page(named && decodeURIComponent(named), show);
    if (mine !== shown) return;
    main.replaceChildren(...made.content);
    refresh = made.refresh ?? null;
  } catch (failure) {
    if (mine === shown) failed(failure);
  }
  main.removeAttribute("aria-busy");
  const title = main.querySelector("h1");
  document.title = `${title?.textContent ?? "Console"} · Billing console`;
  title?.setAttribute("tabindex", "-1");
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
  signIn(problem);
}

/** Look again while the page is seen and nobody is in the middle of something. */
async function again() {
  const busy = document.hidden || document.querySelector("dialog") || main.contains(document.activeElement?.closest("input, select, textarea"));
  const mine = shown;
  if (refresh && !busy) {
    try {
      await refresh();
    } catch (failure) {
      if (mine === shown && failure.code === "UNAUTHENTICATED") leave(failure.message);
    }
  }
  setTimeout(again, EVERY);
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
arrive();
await show();
setTimeout(again, EVERY);
