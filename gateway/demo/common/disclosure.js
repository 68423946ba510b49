// "See the query behind this page": the last document that was sent, its variables and its answer.

import { h } from "./dom.js";
import { text } from "./language.js";

/**
 * @param {string} query the document
 * @param {object} variables
 * @param {object} data its answer
 * @param {number} milliseconds how long the answer took in this browser
 */
export function disclose(query, variables, data, milliseconds) {
  const details = document.getElementById("disclosure");
  const asked = pretty(variables);
  const link = new URLSearchParams({ query, variables: asked });
  details.querySelector("div")?.remove();
  details.append(
    h(
      "div",
      { class: "panes" },
      h(
        "p",
        {},
        `${text("disclosure.answered", { milliseconds: Math.max(1, Math.round(milliseconds)) })} `,
        h("a", { href: `/graphql#${link}` }, text("disclosure.open")),
      ),
      pane(text("disclosure.query"), query),
      pane(text("disclosure.variables"), asked),
      pane(text("disclosure.answer"), pretty(data)),
    ),
  );
  details.hidden = false;
}

const pretty = (value) => JSON.stringify(value, null, 2);

// A scrolling region must be reachable by keyboard, hence the tabindex.
const pane = (title, text) =>
  h("figure", {}, h("figcaption", {}, title), h("pre", { tabindex: "0", role: "region", "aria-label": title }, text));
