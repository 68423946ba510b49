// What a change costs, line by line, and when it happens.

import { labelled } from "../core/actions.js";
import { bdi, h } from "../core/dom.js";

/**
 * @param {import("../core/ui.js").Ui} ui
 * @param {any} preview
 * @param {any} subscription
 * @param {(when: string) => void} ask for another moment of the change
 */
export const quoteOf = (ui, preview, { currentPeriodEnd }, ask) => [
  moments(ui, preview, currentPeriodEnd, ask),
  h(
    "ul",
    { class: "lines" },
    preview.lines.map(({ description, amount }) =>
      h("li", {}, h("span", {}, bdi(description)), h("span", {}, amount.formatted)),
    ),
  ),
  h(
    "dl",
    {},
    labelled(ui.text("change.dueNow"), preview.dueNow.formatted, "due-now"),
    preview.credit.amount > 0 && labelled(ui.text("change.credit"), preview.credit.formatted, "credit"),
    preview.dueAtRenewal &&
      labelled(ui.text("change.onDay", { day: ui.day(preview.renewsAt) }), preview.dueAtRenewal.formatted, "due-at-renewal"),
  ),
];

function moments(ui, { when }, periodEnd, ask) {
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
    h("legend", { class: "label" }, ui.text("change.when")),
    choice("NOW", ui.text("change.now")),
    choice("AT_PERIOD_END", ui.text("change.atEnd", { day: ui.day(periodEnd) })),
  );
}
