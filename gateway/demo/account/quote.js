// What a change costs, line by line, and when it happens.

import { labelled } from "../common/actions.js";
import { h } from "../common/dom.js";
import { day, text } from "../common/language.js";

/**
 * @param {object} preview
 * @param {object} subscription
 * @param {(when: string) => void} ask for another moment of the change
 */
export const quoteOf = (preview, { currentPeriodEnd }, ask) => [
  moments(preview, currentPeriodEnd, ask),
  h(
    "ul",
    { class: "lines" },
    preview.lines.map(({ description, amount }) =>
      h("li", {}, h("span", {}, description), h("span", {}, amount.formatted)),
    ),
  ),
  h(
    "dl",
    {},
    labelled(text("change.dueNow"), preview.dueNow.formatted, "due-now"),
    preview.credit.amount > 0 && labelled(text("change.credit"), preview.credit.formatted, "credit"),
    preview.dueAtRenewal &&
      labelled(text("change.onDay", { day: day(preview.renewsAt) }), preview.dueAtRenewal.formatted, "due-at-renewal"),
  ),
];

function moments({ when }, periodEnd, ask) {
  const choice = (value, words) =>
    h(
      "label",
      { class: "option" },
      h("input", { type: "radio", name: "when", value, checked: value === when, onchange: () => ask(value) }),
      h("span", {}, words),
    );
  return h(
    "fieldset",
    {},
    h("legend", { class: "label" }, text("change.when")),
    choice("NOW", text("change.now")),
    choice("AT_PERIOD_END", text("change.atEnd", { day: day(periodEnd) })),
  );
}
