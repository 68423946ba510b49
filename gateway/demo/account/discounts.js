// What is taken off, and the field for a code that takes more off.

import { attempt, button, mutate, newKey, problemPlace } from "../common/actions.js";
import { h } from "../common/dom.js";
import { day, number, text } from "../common/language.js";
import { APPLY_PROMOTION_CODE } from "./queries.js";

/** "Launch: 20% off until March 1, 2027" */
export function writtenDiscount({ name, percentOff, amountOff, once, endsAt }) {
  const amount = amountOff?.formatted ?? number(percentOff / 100, { style: "percent", maximumFractionDigits: 2 });
  const length = once ? text("discount.once") : endsAt ? text("discount.until", { day: day(endsAt) }) : "";
  return [name, text("discount.amount", { amount }), length].filter(Boolean).join(" · ");
}

/**
 * @param {object} subscription the one to reduce
 * @param {{done: (notice: string) => Promise<void>, close: () => void}} then what follows
 */
export function codeForm({ id }, { done, close }) {
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
    attempt(event.submitter, text("frame.moment"), problem, async () => {
      const input = { subscriptionId: id, promotionCode: field.value.trim(), idempotencyKey: newKey() };
      await mutate(APPLY_PROMOTION_CODE, "applyPromotionCode", input);
      await done(text("discount.done"));
    });
  };
  return h(
    "form",
    { class: "sheet", "data-testid": "code-form", onsubmit: submit },
    h("h3", { tabindex: "-1" }, text("discount.enter")),
    h("div", { class: "fields" }, h("label", {}, text("discount.code"), field)),
    h(
      "div",
      { class: "row" },
      h("button", { class: "button", "data-testid": "confirm-code" }, text("discount.apply")),
      button(text("frame.back"), "close", close, "button quiet"),
    ),
    problem,
  );
}
