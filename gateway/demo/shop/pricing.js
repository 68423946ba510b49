// The price list: one query, and cards for what is on sale.

import { button } from "../common/actions.js";
import { send } from "../common/api.js";
import { disclose } from "../common/disclosure.js";
import { h } from "../common/dom.js";
import { locale, text } from "../common/language.js";
import { adverb, byLength, periodOf } from "../common/periods.js";
import { digitsOf } from "./amounts.js";
import { planCard, productCard } from "./cards.js";
import { comparison } from "./comparison.js";
import { switches } from "./controls.js";
import { PRICING } from "./queries.js";

const offers = document.getElementById("offers");
const controls = document.getElementById("controls");

// What the buyer looks at. It is kept in the address, so that it can be shared and survives the checkout.
const view = Object.fromEntries(new URLSearchParams(location.search));
let latest = 0;

export async function showPricing() {
  if ("canceled" in view) {
    const notice = document.getElementById("notice");
    notice.textContent = text("shop.canceled");
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
  const country = navigator.language.split("-")[1] ?? null;
  const variables = { currency: view.currency ?? null, country, locale };
  try {
    const { data, milliseconds } = await send(PRICING, variables);
    if (turn !== latest) return;
    render(data);
    disclose(PRICING, variables, data, milliseconds);
  } catch (error) {
    if (turn === latest) offers.replaceChildren(failure(error));
  } finally {
    if (turn === latest) offers.removeAttribute("aria-busy");
  }
}

function failure(error) {
  const again = () => {
    delete view.currency; // the address may have asked for one that there is not
    load();
  };
  return h(
    "div",
    { class: "failure", role: "alert" },
    h("h2", {}, text("shop.failed")),
    h("p", {}, error.message),
    button(text("frame.tryAgain"), "try-again", again),
  );
}

function render({ pricing, viewer }) {
  const periods = [...new Set(pricing.products.flatMap(({ plans }) => plans.map(periodOf)))].sort(byLength);
  if (!periods.includes(view.interval)) view.interval = periods.includes("MONTH") ? "MONTH" : periods[0];
  if (controls.hasChildNodes()) announce(pricing);
  else controls.append(...switches(pricing, periods, view.interval, choose).filter(Boolean));
  offers.replaceChildren(...shelves(pricing, viewer?.subscription));
}

/** Says to a screen reader what the eye sees change. */
function announce({ currency }) {
  const words = text("shop.announcement", { currency, billed: adverb(view.interval) });
  document.getElementById("announcement").textContent = words;
}

/** @param {object|null} subscription what the viewer has */
function shelves(pricing, subscription) {
  const { currency, products } = pricing;
  const quantity = Number(subscription?.quantity ?? 1);
  const runs = ["ACTIVE", "TRIALING"].includes(subscription?.status);
  const page = { currency, digits: digitsOf(pricing), checkout: checkout(currency), quantity, runs };
  const offered = (usageType, isAddon = null) =>
    products.flatMap(({ product, plans }) =>
      inPeriod(
        plans.filter((plan) => plan.usageType === usageType && (isAddon === null || product.addon === isAddon)),
      ).map((plan, _, all) => ({
        product,
        plan,
        isNamed: all.length > 1,
      })),
    );
  const plans = offered("LICENSED", false);
  const card = ({ product, plan, isNamed }) => planCard(product, plan, isNamed, page);
  const once = products.flatMap(({ product, oneTime }) => oneTime.map((price) => productCard(product, price, page)));
  const all = [
    shelf("plans", text("shop.plans"), plans.map(card)),
    shelf("addons", text("shop.addons"), offered("LICENSED", true).map(card)),
    shelf("usage", text("shop.usage"), offered("METERED").map(card)),
    shelf("once", text("shop.once"), once),
    comparison(plans),
  ].filter(Boolean);
  return all.length ? all : [h("p", { class: "notice" }, text("shop.nothing"))];
}

const shelf = (name, title, cards) =>
  cards.length > 0 && h("section", { class: name }, h("h2", {}, title), h("div", { class: "cards" }, cards));

/** What every purchase of this view has in common. Stripe fills the session's id in. */
function checkout(currency) {
  const state = new URLSearchParams(view);
  return {
    currency,
    ...(view.code ? { promotionCode: view.code } : { allowPromotionCodes: true }),
    successUrl: `${location.origin}/demo?session_id={CHECKOUT_SESSION_ID}`,
    cancelUrl: `${location.origin}/demo?canceled=1&${state}`,
  };
}

/** The plans of the chosen period; a product that is not sold by it shows the period that it has. */
function inPeriod(plans) {
  const chosen = plans.filter((plan) => periodOf(plan) === view.interval);
  return chosen.length || !plans.length ? chosen : plans.filter((plan) => periodOf(plan) === periodOf(plans[0]));
}

function choose({ target }) {
  view[target.name] = target.value;
  remember();
  load();
}

const remember = () => history.replaceState(null, "", `?${new URLSearchParams(view)}`);
