// Entry of the account page: what the gateway says that the signed-in customer has.

import { button } from "../common/actions.js";
import { send } from "../common/api.js";
import { disclose } from "../common/disclosure.js";
import { h } from "../common/dom.js";
import { locale, text, translatePage } from "../common/language.js";
import { session, signOut } from "../common/session.js";
import { creditPanel } from "./credits.js";
import { featurePanel } from "./features.js";
import { invoicePanel } from "./invoices.js";
import { planPanels } from "./plan.js";
import { METER, VIEWER } from "./queries.js";
import { signInPanel } from "./sign_in.js";
import { usagePanel } from "./usage.js";

const root = document.getElementById("account");

/** @param {string} [notice] what was just done: it is shown above all, and takes the keyboard there */
async function show(notice) {
  if (!session()) return root.replaceChildren(await signInPanel(show));
  const variables = { locale, meter: METER };
  root.setAttribute("aria-busy", "true");
  try {
    const { data, milliseconds } = await send(VIEWER, variables);
    render(data.viewer, notice);
    disclose(VIEWER, variables, data, milliseconds);
  } catch (error) {
    root.replaceChildren(failure(error));
  } finally {
    root.removeAttribute("aria-busy");
  }
}

function failure(error) {
  const leave = error.code === "UNAUTHENTICATED";
  if (leave) signOut();
  return h(
    "div",
    { class: "failure", role: "alert" },
    h("h1", {}, text("account.failed")),
    h("p", {}, error.message),
    button(text(leave ? "account.signInAgain" : "frame.tryAgain"), "try-again", () => show()),
  );
}

function render(viewer, notice) {
  const { user } = session();
  const leave = () => {
    signOut();
    show();
  };
  const words = h("p", { class: "notice", role: "status", tabindex: "-1", "data-testid": "notice" }, notice);
  root.replaceChildren(
    h(
      "header",
      { class: "account-head" },
      h(
        "div",
        {},
        h("h1", {}, text("account.title")),
        h("p", { "data-testid": "who" }, `${user.name} · ${viewer.email}`),
      ),
      button(text("account.signOut"), "sign-out", leave, "button quiet"),
    ),
    notice ? words : "",
    h(
      "div",
      { class: "account" },
      planPanels(viewer, show),
      featurePanel(viewer.entitlements, viewer.subscriptions),
      creditPanel(viewer.credits),
      usagePanel(viewer.usage, viewer.subscriptions),
      invoicePanel(viewer.invoices.nodes),
    ),
  );
  if (notice) words.focus();
}

translatePage();
show();
