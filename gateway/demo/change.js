// A change of plan: every choice is quoted by Stripe before it can be confirmed, and charged as it was quoted.

import { send } from "./api.js";
import { h } from "./dom.js";
import { adverb, periodOf } from "./periods.js";
import { CHANGE_SUBSCRIPTION, PLANS, PREVIEW_CHANGE } from "./viewer.js";
import { attempt, day, labelled, mutate } from "./words.js";

const locale = navigator.language;

/**
 * @param {object} subscription the present one
 * @param {{done: (notice: string) => void, close: () => void}} then what follows
 */
export function changeForm(subscription, { done, close }) {
  const chosen = { plan: subscription.plan?.id, quantity: subscription.quantity ?? 1 };
  const quote = h("div", { class: "quote", "aria-live": "polite", "data-testid": "quote" });
  const choice = h("select", { name: "plan", "data-testid": "new-plan" });
  const count = h("input", { type: "number", min: "1", step: "1", value: chosen.quantity, "data-testid": "quantity" });
  const back = () => h("button", { type: "button", class: "button quiet", onclick: close }, "Back");
  let turn = 0;

  /** Asks what the choice costs; an answer that a newer choice has overtaken is dropped. */
  async function ask() {
    if (!count.reportValidity()) return;
    const mine = ++turn;
    const variables = { subscriptionId: subscription.id, priceId: choice.value, quantity: count.valueAsNumber, locale };
    try {
      const { data } = await send(PREVIEW_CHANGE, variables);
      if (mine === turn) quote.replaceChildren(...offer(data.viewer.previewChange, variables));
    } catch (error) {
      if (mine === turn) quote.replaceChildren(h("p", { class: "problem", role: "alert" }, error.message));
    }
  }

  /** What it costs, and the button that charges just that: the quote's own date goes back with it. */
  function offer(preview, { subscriptionId, priceId, quantity }) {
    if (priceId === chosen.plan && quantity === chosen.quantity) return [h("p", {}, "This is your present plan.")];
    const input = {
      subscriptionId,
      priceId,
      quantity,
      when: preview.when,
      prorationDate: preview.prorationDate,
      idempotencyKey: crypto.randomUUID(),
    };
    const confirm = ({ currentTarget }) =>
      attempt(currentTarget, "Changing…", async () => {
        const { invoice } = await mutate(CHANGE_SUBSCRIPTION, "changeSubscription", input, { locale });
        const paid = invoice?.amountDue.amount ? ` You paid ${invoice.amountDue.formatted}.` : "";
        const later = preview.when === "AT_PERIOD_END";
        done(later ? `Your plan changes on ${day(preview.renewsAt)}.` : `Your plan has changed.${paid}`);
      });
    return [
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
        labelled("Due now", preview.dueNow.formatted, "due-now"),
        preview.credit.amount > 0 && labelled("Credit for next invoices", preview.credit.formatted, "credit"),
        preview.dueAtRenewal &&
          labelled(`On ${day(preview.renewsAt)}`, preview.dueAtRenewal.formatted, "due-at-renewal"),
      ),
      h(
        "div",
        { class: "row" },
        h(
          "button",
          { type: "button", class: "button", "data-testid": "confirm-change", onclick: confirm },
          "Confirm the change",
        ),
        back(),
      ),
      h("p", { class: "problem", role: "alert" }),
    ];
  }

  fill(choice, subscription).then(ask, (error) =>
    quote.replaceChildren(h("p", { class: "problem", role: "alert" }, error.message)),
  );
  choice.addEventListener("change", ask);
  count.addEventListener("change", ask);
  return h(
    "form",
    { class: "sheet", "data-testid": "change-form", onsubmit: (event) => event.preventDefault() },
    h("h3", {}, "Change your plan"),
    h("div", { class: "fields" }, h("label", {}, "Plan", choice), h("label", {}, "Quantity", count)),
    quote,
  );
}

/** The plans on sale in the subscription's currency; those that are billed by use are not for changing to. */
async function fill(select, { plan }) {
  const { data } = await send(PLANS, { locale, currency: plan?.amount?.currency ?? null });
  const plans = data.pricing.products.flatMap(({ plans }) => plans).filter(({ usageType }) => usageType === "LICENSED");
  select.append(...plans.map((each) => h("option", { value: each.id, selected: each.id === plan?.id }, name(each))));
}

const name = ({ product, amount, ...plan }) =>
  `${product.name}, ${adverb(periodOf(plan)).toLowerCase()}${amount ? ` · ${amount.formatted}` : ""}${product.unitLabel ? ` per ${product.unitLabel}` : ""}`;
