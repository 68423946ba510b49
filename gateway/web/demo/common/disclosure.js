// "See the query behind this page": the last document that filled the page, its variables and its answer.

import { h } from "./dom.js";
import { text } from "./language.js";

/** The documents that fill a page; others ask for a detail. */
const WHOLE = /^query (Pricing|Session|Viewer)/;

/**
 * Shows what an element has asked the API.
 *
 * @param {HTMLElement} element
 */
export function discloseWhatIsLoaded(element) {
  element.addEventListener("billing-load", ({ detail }) => {
    if (WHOLE.test(detail.document)) disclose(detail);
  });
}

function disclose({ document: query, variables, data, milliseconds }) {
  const details = document.getElementById("disclosure");
  const asked = pretty(variables);
  const shown = laidOut(query);
  const link = new URLSearchParams({ query: shown, variables: asked });
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
      pane(text("disclosure.query"), shown),
      pane(text("disclosure.variables"), asked),
      pane(text("disclosure.answer"), pretty(data)),
    ),
  );
  details.hidden = false;
}

const pretty = (value) => JSON.stringify(value, null, 2);

/** A document as people write it: it travels without what only they need. */
function laidOut(query) {
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  return query
    .split(/(\([^)]*\)|[{}]| )/)
    .filter(Boolean)
    .map((part, place, all) => {
      if (part === "{") return ` {${((depth += 1), line())}`;
      if (part === "}") return `${((depth -= 1), line())}}${all[place + 1] === "}" ? "" : depth ? line() : "\n\n"}`;
      if (part === " ") return depth ? line() : " ";
      if (!part.startsWith("(")) return part;
      const next = all[place + 1];
      const end = next && !"{} ".includes(next) && !next.startsWith("@") ? line() : "";
      return part.replaceAll(":", ": ").replaceAll(/(?<=[\w!\]])(?=\$)|(?<=[\w!\]]) (?=\w+:)/g, ", ") + end;
    })
    .join("")
    .trim();
}

// A scrolling region must be reachable by keyboard, hence the tabindex.
const pane = (title, text) =>
  h("figure", {}, h("figcaption", {}, title), h("pre", { tabindex: "0", role: "region", "aria-label": title }, text));
