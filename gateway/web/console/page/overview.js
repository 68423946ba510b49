// The overview: what the business earns, month by month, each figure with what it means.

import { ask } from "./api.js";
import { card, h, table } from "./dom.js";
import { bars, cohorts, lines } from "./plots.js";

const PERIODS = { 3: "3 months", 6: "6 months", 12: "12 months", 24: "24 months" };
const chosen = { months: "12", currency: null, csv: "" };

function range(count) {
  const now = new Date();
  const at = (back) => new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - back)).toISOString().slice(0, 7);
  return { first: at(count - 1), last: at(0) };
}

const percent = (share) => (share == null ? "–" : `${(100 * share).toFixed(1)} %`);

export async function overview(_named, show) {
  const { figures, health } = await ask("overview", range(Number(chosen.months)));
  chosen.csv = figures.csv;
  const one = "all together";
  const names = [...new Set(figures.byCurrency.map((each) => each.currency))];
  if (figures.inOneCurrency.length) names.unshift(one);
  const currency = names.includes(chosen.currency) ? chosen.currency : names[0];
  const rows = currency === one ? figures.inOneCurrency : figures.byCurrency.filter((each) => each.currency === currency);
  const choose = (label, name, options, value) => h("label", {}, label,
    h("select", { name, onchange: (changed) => { chosen[name] = changed.target.value; show(); } },
      options.map(([key, text]) => h("option", { value: key, selected: key === value }, text))));
  const head = h("div", { class: "head" }, h("h1", {}, "Overview"),
    h("div", { class: "tools" },
      choose("Period", "months", Object.entries(PERIODS), chosen.months),
      names.length > 0 && choose("Currency", "currency", names.map((each) => [each, each]), currency),
      h("button", { type: "button", class: "quiet", onclick: () => save(chosen.csv) }, "CSV")));
  const troubles = health.queues.filter((each) => each.dead);
  const trouble = troubles.length > 0 && h("p", { class: "card bad" },
    `Given up, and waiting for you: ${troubles.map((each) => `${each.dead} in ${each.name}`).join(", ")}.`);
  const empty = h("p", { class: "card" }, "Nothing was sold yet, or the figures are being reckoned for the first time.");
  return { content: [head, trouble || "", ...(rows.length ? filled(rows, figures, currency) : [empty])].filter(Boolean) };
}

function filled(rows, figures, currency) {
  const last = rows.at(-1);
  const means = Object.fromEntries(figures.definitions.map((each) => [each.name, each.text]));
  const now = figures.now.filter((each) => currency === "all together" || each.currency === currency);
  const count = (status) => now.filter((each) => each.status === status).reduce((sum, each) => sum + each.count, 0);
  const tile = (name, value, meaning) => h("div", { class: "tile" }, h("dt", {}, h("abbr", { title: meaning ?? null }, name)), h("dd", {}, value));
  const tiles = h("dl", { class: "card tiles" },
    tile("MRR", last.mrr.formatted, means.mrr),
    tile("Active now", count("active")), tile("Trialing now", count("trialing")), tile("Past due now", count("past_due")),
    tile("Paying customers", last.customers, means.customers), tile("ARPA", last.arpa.formatted, means.arpa),
    tile("Churn rate", percent(last.churnRate), means.churn_rate),
    tile("Trial conversion", percent(last.trialConversion), means.trial_conversion),
    tile("Failed", `${last.failed.formatted} (${last.failedInvoices})`, means.failed),
    tile("Recovered", `${last.recovered.formatted} (${last.recoveredInvoices})`, means.recovered),
    tile("Credits outstanding", figures.creditsOutstanding));
  const months = rows.map((each) => each.month);
  const series = (...names) => names.map((name) => [name, rows.map((each) => units(each[name]))]);
  const down = (name) => [name, rows.map((each) => -units(each[name]))];
  const numbers = (name) => rows.map((each) => Number(each[name]));
  const counts = (name) => `${name} from ${months[0]} to ${months.at(-1)}: ${numbers(name).join(", ")}`;
  const of = (name, first = "") => `${first}${name} from ${months[0]} to ${months.at(-1)}: ${rows.map((each) => each[name].formatted).join(", ")}`;
  return [
    figures.waiting > 0 && h("p", { class: "note" }, `${figures.waiting} customers are being reckoned anew at this moment.`),
    tiles,
    h("div", { class: "grid" },
      card("MRR", lines(of("mrr"), months, series("mrr"))),
      card("How it moved", bars(`${of("new")}; ${of("churn")}`, months, [...series("new", "expansion"), down("contraction"), down("churn")])),
      card("Subscriptions", lines(`${counts("active")}; ${counts("trialing")}`, months, [["active", numbers("active")], ["trialing", numbers("trialing")]])),
      card("Paid", bars(of("paid"), months, series("paid"))),
      card("Failed and recovered", bars(`${of("failed")}; ${of("recovered")}`, months, series("failed", "recovered")))),
    card("Cohorts", cohorts(figures.cohorts.filter((each) => currency === "all together" || each.currency === currency))),
    card("Month by month", table(`Amounts in ${currency}; months of UTC; the last month as it would end`,
      ["month", "#MRR", "#new", "#expansion", "#contraction", "#churn", "#customers", "#active", "#trialing", "#paid", "#failed", "#recovered", "#started", "#ended", "#trials", "#converted"],
      [...rows].reverse().map((each) => [each.month, each.mrr.formatted, each.new.formatted, each.expansion.formatted, each.contraction.formatted,
        each.churn.formatted, each.customers, each.active, each.trialing, each.paid.formatted, each.failed.formatted, each.recovered.formatted, each.started, each.ended,
        each.trials, each.converted]))),
    figures.usage.length > 0 && card("Usage in this period", table("By meter or counter", ["name", "#sum"], figures.usage.map((each) => [each.eventName, each.value]))),
    h("details", { class: "card" }, h("summary", {}, "What each figure means"),
      h("dl", { class: "facts" }, figures.definitions.map((each) => h("div", {}, h("dt", {}, each.name), h("dd", {}, each.text))))),
  ];
}

/** An amount in major units, as the plots scale it; the words are the gateway's own. */
function units(money) {
  return Number(money.decimal);
}

function save(csv) {
  const link = h("a", { href: URL.createObjectURL(new Blob([csv], { type: "text/csv" })), download: "figures.csv" });
  link.click();
  URL.revokeObjectURL(link.href);
}
