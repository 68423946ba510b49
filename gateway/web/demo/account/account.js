// Entry of the account page: who is signed in, and the gateway's element that shows what he has.

import { billing } from "../common/billing.js";
import { discloseWhatIsLoaded } from "../common/disclosure.js";
import { h } from "../common/dom.js";
import { text, translatePage } from "../common/language.js";
import { session, signIn, signOut, users } from "../common/session.js";

/** The event name of the sample catalogue's meter. */
const METER = "api_calls";

const root = document.getElementById("account");

async function show() {
  const user = session()?.user;
  root.replaceChildren(...(user ? account(user) : [await signInPanel()]));
}

function account({ name, email }) {
  const leave = () => {
    signOut();
    show();
  };
  // What it holds is shown when the token is no longer taken.
  const again = h("button", { type: "button", class: "button", onclick: leave }, text("account.signInAgain"));
  const element = h("billing-account", { meter: METER, "plans-url": "/demo" }, again);
  discloseWhatIsLoaded(element);
  return [
    h(
      "header",
      { class: "account-head" },
      h("div", {}, h("h1", {}, text("account.title")), h("p", { "data-testid": "who" }, `${name} · ${email}`)),
      h(
        "button",
        { type: "button", class: "button quiet", "data-testid": "sign-out", onclick: leave },
        text("account.signOut"),
      ),
    ),
    element,
  ];
}

/** Who is it? The two sample users of `gateway dev` need no password. */
async function signInPanel() {
  const people = await users();
  const problem = h("div", { class: "problem", role: "alert", tabindex: "-1" });
  const enter = async (email) => {
    problem.textContent = "";
    if (!(await signIn(email))) {
      problem.textContent = text("signIn.failed");
      return problem.focus();
    }
    billing.reset();
    await show();
  };
  const choice = ({ name, email }) =>
    h(
      "button",
      { type: "button", class: "button", "data-testid": `sign-in-${email}`, onclick: () => enter(email) },
      name,
    );
  return h(
    "article",
    { class: "panel" },
    h("h1", {}, text("signIn.title")),
    h("p", {}, text(people.length ? "signIn.text" : "signIn.needsDev")),
    h("div", { class: "actions" }, people.map(choice)),
    problem,
  );
}

translatePage();
show();
