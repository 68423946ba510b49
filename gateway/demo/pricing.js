// The price list: one query, cards for what is on sale, a switch for the period and one for the currency.

import { digitsOf } from "./amounts.js";
import { PRICING, send } from "./api.js";
import { planCard, productCard } from "./cards.js";
import { disclose } from "./disclosure.js";
import { h } from "./dom.js";
import { adverb, byLength, periodOf } from "./periods.js";

const offers = document.getElementById("offers");
const controls = document.getElementById("controls");

// What the buyer looks at. It is kept in the address, so that it can be shared and survives the checkout.
const view = Object.fromEntries(new URLSearchParams(location.search));
let locale = navigator.language;
let latest = 0;

export async function showPricing() {
  if ("canceled" in view) {
    const notice = document.getElementById("notice");
    notice.textContent = "The checkout was cancelled and nothing was charged. Your choice is still here.";
    notice.hidden = false;
    delete view.canceled;
    remember();
  }
  await load();
}

/** Asks for the prices in the chosen currency; an answer that a newer question has overtaken is dropped. */
async function load() {
  const turn = ++latest;
  offers.setAttribute("aria-busy", "true");
  const variables = { currency: view.currency ?? null, locale };
  try {
    const { data, milliseconds } = await send(PRICING, variables);
    if (turn !== latest) return;
    render(data.pricing);
    disclose(PRICING, variables, data, milliseconds);
  } catch (error) {
    if (turn !== latest) return;
    offers.replaceChildren(failure(error));
  } finally {
    if (turn === latest) offers.removeAttribute("aria-busy");
  }
}

function failure(error) {
  const again = () => {
    // What the address or the browser may have asked for in vain: an unknown currency, a language without figures.
    delete view.currency;
    locale = "en";
    load();
  };
  return h(
    "div",
    { class: "failure", role: "alert" },
    h("h2", {}, "The prices could not be loaded"),
    h("p", {}, error.message),
    h("button", { type: "button", class: "button", onclick: again }, "Try again"),
  );
}

function render(pricing) {
  const periods = [...new Set(pricing.products.flatMap(({ plans }) => plans.map(periodOf)))].sort(byLength);
  if (!periods.includes(view.interval)) view.interval = periods.includes("MONTH") ? "MONTH" : periods[0];
  if (!controls.hasChildNodes()) controls.append(periodSwitch(pricing, periods), currencySwitch(pricing));
  else announce(`Prices in ${pricing.currency}, billed ${adverb(view.interval).toLowerCase()}.`);
  renderOffers(pricing);
}

/** Says to a screen reader what the eye sees change. */
const announce = (text) => {
  document.getElementById("announcement").textContent = text;
};

function renderOffers(pricing) {
  const deal = { checkout: checkout(pricing), digits: digitsOf(pricing) };
  const plans = (usageType) =>
    pricing.products.flatMap(({ product, plans }) =>
      inPeriod(plans.filter((plan) => plan.usageType === usageType)).map((plan, _, all) =>
        planCard(product, plan, all.length > 1, deal),
      ),
    );
  const once = pricing.products.flatMap(({ product, oneTime }) =>
    oneTime.map((price) => productCard(product, price, deal)),
  );
  const shelves = [
    shelf("plans", "Plans", plans("LICENSED")),
    shelf("usage", "Pay for what you use", plans("METERED")),
    shelf("once", "Pay once, no subscription", once),
  ].filter(Boolean);
  offers.replaceChildren(...(shelves.length ? shelves : [h("p", { class: "notice" }, "Nothing is on sale yet.")]));
}

const shelf = (name, title, cards) =>
  cards.length > 0 && h("section", { class: name }, h("h2", {}, title), h("div", { class: "cards" }, cards));

/** What every purchase of this view has in common. Stripe fills the session's id in. */
function checkout({ currency }) {
  const state = new URLSearchParams(view);
  return {
    currency,
    successUrl: `${location.origin}/demo?session_id={CHECKOUT_SESSION_ID}`,
    cancelUrl: `${location.origin}/demo?canceled=1&${state}`,
  };
}

/** The plans of the chosen period; a product that is not sold by it shows the period that it has. */
function inPeriod(plans) {
  const chosen = plans.filter((plan) => periodOf(plan) === view.interval);
  return chosen.length || !plans.length ? chosen : plans.filter((plan) => periodOf(plan) === periodOf(plans[0]));
}

function periodSwitch(pricing, periods) {
  const saving = yearlySaving(pricing);
  return h(
    "fieldset",
    { class: "segments", "data-testid": "interval-switch" },
    h("legend", { class: "visually-hidden" }, "Billed"),
    periods.map((period) =>
      h(
        "label",
        {},
        h("input", {
          type: "radio",
          name: "interval",
          value: period,
          checked: period === view.interval,
          onchange: choose,
        }),
        h("span", {}, adverb(period), period === "YEAR" && saving > 0 && h("em", {}, `Save up to ${saving}%`)),
      ),
    ),
  );
}

function currencySwitch(pricing) {
  return h(
    "label",
    { class: "currency" },
    h("span", { class: "visually-hidden" }, "Currency"),
    h(
      "select",
      { name: "currency", "data-testid": "currency-switch", autocomplete: "off", onchange: choose },
      pricing.currencies.map((code) => h("option", { value: code, selected: code === pricing.currency }, code)),
    ),
  );
}

function choose({ target }) {
  view[target.name] = target.value;
  remember();
  load();
}

const remember = () => history.replaceState(null, "", `?${new URLSearchParams(view)}`);

/** The largest saving, in whole per cent, of a yearly plan over twelve months of the same product's monthly plan. */
function yearlySaving({ products }) {
  const amount = (plans, interval) => plans.find((plan) => periodOf(plan) === interval)?.amount?.amount;
  return Math.max(
    0,
    ...products.map(({ plans }) => {
      const [month, year] = [amount(plans, "MONTH"), amount(plans, "YEAR")];
      return month && year ? Math.floor(100 - (100 * year) / (12 * month)) : 0;
    }),
  );
}
