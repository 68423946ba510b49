// Leaving: when, why, and in the customer's own words.

import { attempt, button, newKey, problemPlace } from "../core/actions.js";
import { h } from "../core/dom.js";
import { writtenDiscount } from "./discounts.js";
import { ACCEPT_RETENTION_OFFER, CANCEL_SUBSCRIPTION } from "../documents/account.js";

const REASONS = [
  ...["TOO_EXPENSIVE", "MISSING_FEATURES", "SWITCHED_SERVICE", "UNUSED"],
  ...["CUSTOMER_SERVICE", "TOO_COMPLEX", "LOW_QUALITY", "OTHER"],
];

/**
 * @param {import("../core/ui.js").Ui} ui
 * @param {any} subscription the one to end
 * @param {{done: (notice: string) => Promise<void>, close: () => void}} then what follows
 */
export function cancelForm(ui, { id, status, currentPeriodEnd, retentionOffer }, { done, close }) {
  const end = ui.day(currentPeriodEnd);
  const isPaused = status === "PAUSED"; // by Stripe, as at the end of a trial without a card: no period goes on
  const problem = problemPlace();
  const option = (value, words, checked) =>
    h("label", { class: "option" }, h("input", { type: "radio", name: "when", value, checked }), h("span", {}, words));
  const submit = (event) => {
    event.preventDefault();
    const { when, reason, comment } = /** @type {any} */ (Object.fromEntries(new FormData(event.currentTarget)));
    const why = { reason: reason || null, comment: comment || null };
    attempt(event.submitter, ui.text("frame.moment"), problem, async () => {
      const input = { subscriptionId: id, when, ...why, idempotencyKey: newKey() };
      await ui.mutate(CANCEL_SUBSCRIPTION, input);
      await done(when === "NOW" ? ui.text("cancel.doneNow") : ui.text("cancel.done", { day: end }));
    });
  };
  return h(
    "form",
    { class: "sheet", "data-testid": "cancel-form", onsubmit: submit },
    h("h3", { tabindex: "-1" }, ui.text("cancel.title")),
    retentionOffer && offer(ui, id, retentionOffer, done),
    h(
      "fieldset",
      {},
      h("legend", { class: "visually-hidden" }, ui.text("cancel.when")),
      !isPaused && option("AT_PERIOD_END", ui.text("cancel.atEnd", { day: end }), true),
      option("NOW", ui.text("cancel.now"), isPaused),
    ),
    h(
      "div",
      { class: "fields" },
      h(
        "label",
        {},
        ui.text("cancel.why"),
        h(
          "select",
          { name: "reason", "data-testid": "cancel-reason" },
          h("option", { value: "" }, ui.text("cancel.unsaid")),
          REASONS.map((value) => h("option", { value }, ui.text(`cancel.reason.${value}`))),
        ),
      ),
      h(
        "label",
        {},
        ui.text("cancel.comment"),
        h("textarea", { name: "comment", maxlength: "500", rows: "2", "data-testid": "cancel-comment" }),
      ),
    ),
    h(
      "div",
      { class: "row" },
      h("button", { class: "button danger", "data-testid": "confirm-cancel" }, ui.text("cancel.confirm")),
      button(ui.text("frame.back"), "close", close, "button quiet"),
    ),
    problem,
  );
}

/** What the seller offers to who stays. */
function offer(ui, id, { discount }, done) {
  const problem = problemPlace();
  const accept = ({ currentTarget }) =>
    attempt(currentTarget, ui.text("frame.moment"), problem, async () => {
      const input = { subscriptionId: id, idempotencyKey: newKey() };
      await ui.mutate(ACCEPT_RETENTION_OFFER, input);
      await done(ui.text("discount.done"));
    });
  return h(
    "div",
    { class: "offer", "data-testid": "retention-offer" },
    h("p", {}, ui.text("cancel.offer", { discount: writtenDiscount(ui, discount) })),
    button(ui.text("cancel.accept"), "accept-offer", accept),
    problem,
  );
}
