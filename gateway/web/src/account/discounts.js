// What is taken off, and the field for a code that takes more off.

import { attempt, button, newKey, problemPlace } from "../core/actions.js";
import { h } from "../core/dom.js";
import { APPLY_PROMOTION_CODE } from "../documents/account.js";

/** "Launch: 20% off until March 1, 2027" */
export function writtenDiscount(ui, { name, percentOff, amountOff, once, endsAt }) {
  const amount = amountOff?.formatted ?? ui.number(percentOff / 100, { style: "percent", maximumFractionDigits: 2 });
  const length = once ? ui.text("discount.once") : endsAt ? ui.text("discount.until", { day: ui.day(endsAt) }) : "";
  return [name, ui.text("discount.amount", { amount }), length].filter(Boolean).join(" · ");
}

/**
 * @param {import("../core/ui.js").Ui} ui
 * @param {any} subscription the one to reduce
 * @param {{done: (notice: string) => Promise<void>, close: () => void}} then what follows
 */
export function codeForm(ui, { id }, { done, close }) {
  const problem = problemPlace();
  const field = h("input", {
    name: "code",
    required: true,
    autocomplete: "off",
    autocapitalize: "characters",
    spellcheck: "false",
    "data-testid": "code-field",
  });
  const submit = (event) => {
    event.preventDefault();
    attempt(event.submitter, ui.text("frame.moment"), problem, async () => {
      const input = { subscriptionId: id, promotionCode: field.value.trim(), idempotencyKey: newKey() };
      await ui.mutate(APPLY_PROMOTION_CODE, input);
      await done(ui.text("discount.done"));
    });
  };
  return h(
    "form",
    { class: "sheet", "data-testid": "code-form", onsubmit: submit },
    h("h3", { tabindex: "-1" }, ui.text("discount.enter")),
    h("div", { class: "fields" }, h("label", {}, ui.text("discount.code"), field)),
    h(
      "div",
      { class: "row" },
      h("button", { class: "button", "data-testid": "confirm-code" }, ui.text("discount.apply")),
      button(ui.text("frame.back"), "close", close, "button quiet"),
    ),
    problem,
  );
}
