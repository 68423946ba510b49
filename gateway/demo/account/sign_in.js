// Who is it? The two sample users of `gateway dev` need no password.

import { attempt, button, problemPlace } from "../common/actions.js";
import { h } from "../common/dom.js";
import { text } from "../common/language.js";
import { signIn, users } from "../common/session.js";

/** @param {() => Promise<void>} done what follows */
export async function signInPanel(done) {
  const people = await users();
  const problem = problemPlace();
  const enter =
    (email) =>
    ({ currentTarget }) =>
      attempt(currentTarget, text("signIn.waiting"), problem, async () => {
        if (!(await signIn(email))) throw new Error(text("signIn.failed"));
        await done();
      });
  return h(
    "article",
    { class: "panel" },
    h("h1", {}, text("signIn.title")),
    h("p", {}, text(people.length ? "signIn.text" : "signIn.needsDev")),
    h(
      "div",
      { class: "actions" },
      people.map(({ name, email }) => button(name, `sign-in-${email}`, enter(email))),
    ),
    problem,
  );
}
