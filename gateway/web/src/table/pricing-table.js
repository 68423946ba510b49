// <billing-pricing-table>: what is on sale, for who looks at it.

import { BillingElement, define } from "../core/base.js";
import { h, leave } from "../core/dom.js";
import { adverb, byLength, periodOf } from "../core/periods.js";
import { PRICING, PRICING_FOR_VIEWER } from "../documents/pricing.js";
import { digitsOf } from "./amounts.js";
import { accountUrl, planCard, productCard } from "./cards.js";
import { comparison } from "./comparison.js";
import { switches } from "./controls.js";
import { TABLE } from "./style.js";

/**
 * Attributes: `currency` and `interval` (such as YEAR or 3_MONTH) are what is chosen, and follow the buyer's choice;
 * `country`; `products` (ids, separated by commas) shows only these; `success-url` and `cancel-url` are where the checkout
 * leads back to; `account-url` is where a plan is changed; `promotion-codes` lets buyers enter a
 * code, `promotion-code` is one that is known.
 *
 * Events: `billing-select` before a purchase (its detail is what would be sent; `preventDefault` stops it),
 * `billing-choose` after a choice of currency or interval, `billing-load`, `billing-error`.
 */
export class PricingTable extends BillingElement {
  static styles = TABLE;
  static observedAttributes = ["locale", "currency", "interval", "country", "products", "account-url", "promotion-code"];

  /** @type {{ controls: any, announcement: any, offers: any } | null} */
  _parts = null;
  _shown = "";

  /** @param {import("../core/ui.js").Ui} ui @param {() => boolean} isCurrent */
  async load(ui, isCurrent) {
    const parts = (this._parts ??= this._begin());
    const country = this.getAttribute("country") ?? navigator.language.split("-")[1] ?? null;
    const variables = { currency: this.getAttribute("currency"), country };
    try {
      const [data] = await Promise.all([this._ask(ui, variables), ui.ready()]);
      if (isCurrent()) this._render(ui, data, parts);
    } catch (error) {
      if (error.failure?.code !== "BAD_USER_INPUT" || !variables.currency || !isCurrent()) throw error;
      this.removeAttribute("currency"); // there is none of this name; the table shows another one then
    }
  }

  /** What everybody sees, or what the signed-in user does; who is no longer signed in is a guest. */
  async _ask(ui, variables) {
    if (await ui.client.isSignedIn())
      try {
        return await ui.send(PRICING_FOR_VIEWER, variables);
      } catch (error) {
        if (error.failure?.code !== "UNAUTHENTICATED") throw error;
      }
    return ui.send(PRICING, variables, { guest: true });
  }

  /** Cards without anything on them, until there is something. */
  _begin() {
    const cards = [1, 2, 3].map(() => h("div", { class: "card skeleton" }));
    const parts = {
      controls: h("div", { class: "controls", part: "controls" }),
      announcement: h("p", { class: "visually-hidden", "aria-live": "polite" }),
      offers: h("div", { part: "offers" }, h("div", { class: "cards", "aria-hidden": "true" }, cards)),
    };
    this._show(h("div", { "aria-busy": "true" }, Object.values(parts)));
    return parts;
  }

  _render(ui, { pricing, viewer = /** @type {any} */ (null) }, { controls, announcement, offers }) {
    const only = this.getAttribute("products")?.split(",").map((id) => id.trim());
    const products = pricing.products.filter(({ product }) => !only || only.includes(product.id));
    const shown = { ...pricing, products };
    const periods = [...new Set(products.flatMap(({ plans }) => plans.map(periodOf)))].sort(byLength);
    const wished = this.getAttribute("interval") ?? "";
    const interval = periods.includes(wished) ? wished : periods.includes("MONTH") ? "MONTH" : periods[0];
    // The switches stay where they are while they say the same: the keyboard may be on one of them.
    const state = JSON.stringify([ui.locale, periods, shown.currencies, shown.currencyChoice === "VIEWER"]);
    if (state !== this._shown) {
      const choose = ({ target }) => this._choose(target);
      controls.replaceChildren(...switches(ui, shown, periods, interval, choose).filter(Boolean));
    } else if (periods.length)
      announcement.textContent = ui.text("shop.announcement", { currency: shown.currency, billed: adverb(ui, interval) });
    this._shown = state;
    offers.replaceChildren(...this._shelves(ui, shown, interval, viewer?.subscription));
    if (!controls.isConnected) this._show(h("div", {}, [controls, announcement, offers]));
  }

  /** @param {any} subscription what the viewer has */
  _shelves(ui, pricing, interval, subscription) {
    const { currency, products } = pricing;
    const page = {
      currency,
      digits: digitsOf(pricing),
      checkout: () => this._checkout(currency),
      quantity: Number(subscription?.quantity ?? 1),
      runs: ["ACTIVE", "TRIALING"].includes(subscription?.status),
      accountUrl: accountUrl(this),
      started: () => (page.accountUrl ? leave(page.accountUrl) : this.client.reset()),
    };
    const offered = (usageType, isAddon = /** @type {boolean | null} */ (null)) =>
      products.flatMap(({ product, plans }) =>
        inPeriod(
          plans.filter((plan) => plan.usageType === usageType && (isAddon ?? product.addon) === product.addon),
          interval,
        ).map((plan, _, all) => ({ product, plan, isNamed: all.length > 1 })),
      );
    const plans = offered("LICENSED", false);
    const card = ({ product, plan, isNamed }) => planCard(ui, product, plan, isNamed, page);
    const once = products.flatMap(({ product, oneTime }) => oneTime.map((price) => productCard(ui, product, price, page)));
    const all = [
      shelf("plans", ui.text("shop.plans"), plans.map(card)),
      shelf("addons", ui.text("shop.addons"), offered("LICENSED", true).map(card)),
      shelf("usage", ui.text("shop.usage"), offered("METERED").map(card)),
      shelf("once", ui.text("shop.once"), once),
      comparison(ui, plans),
    ].filter(Boolean);
    return all.length ? all : [h("p", { class: "notice" }, ui.text("shop.nothing"))];
  }

  /** What every purchase has in common. Stripe fills the session's id in. */
  _checkout(currency) {
    const here = new URL(location.href);
    const success = new URL(this.getAttribute("success-url") ?? here.href, here);
    const successUrl = success.href.includes("CHECKOUT_SESSION_ID")
      ? success.href.replace(/%7B(CHECKOUT_SESSION_ID)%7D/i, "{$1}")
      : withSession(success);
    const cancelUrl = new URL(this.getAttribute("cancel-url") ?? here.href, here).href;
    const promotionCode = this.getAttribute("promotion-code");
    const codes = promotionCode ? { promotionCode } : { allowPromotionCodes: this.hasAttribute("promotion-codes") };
    return { currency, ...codes, successUrl, cancelUrl };
  }

  _choose({ name, value }) {
    this.setAttribute(name, value); // which shows it
    const detail = { interval: this.getAttribute("interval"), currency: this.getAttribute("currency") };
    this.dispatchEvent(new CustomEvent("billing-choose", { detail, bubbles: true, composed: true }));
  }
}

function withSession(address) {
  address.searchParams.delete("session_id");
  const { hash } = address;
  address.hash = "";
  return `${address.href}${address.search ? "&" : "?"}session_id={CHECKOUT_SESSION_ID}${hash}`;
}

const shelf = (name, title, cards) =>
  cards.length > 0 &&
  h("section", { class: name, part: name }, h("h2", {}, title), h("div", { class: "cards", part: "cards" }, cards));

/** The plans of the chosen period; a product that is not sold by it shows the period that it has. */
function inPeriod(plans, interval) {
  const chosen = plans.filter((plan) => periodOf(plan) === interval);
  return chosen.length || !plans.length ? chosen : plans.filter((plan) => periodOf(plan) === periodOf(plans[0]));
}

define("billing-pricing-table", PricingTable);
