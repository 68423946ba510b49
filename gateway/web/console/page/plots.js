// Plots, drawn by hand: lines, bars, and cohorts. Each says in words what it shows; the numbers stand in a table beside.

import { h, s } from "./dom.js";

const WIDTH = 640;
const HEIGHT = 220;
const LEFT = 64;
const BOTTOM = 24;

/** A round number at or above what is to be shown. */
function ceiling(most) {
  if (most <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((each) => each * power).find((each) => each >= most);
}

function short(value) {
  return new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 }).format(value);
}

function frame(label, months, low, high, draw) {
  const y = (value) => HEIGHT - BOTTOM - ((value - low) / (high - low || 1)) * (HEIGHT - BOTTOM - 10);
  const step = (WIDTH - LEFT) / months.length;
  const x = (at) => LEFT + step * (at + 0.5);
  const every = Math.ceil(months.length / 12);
  return s("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label },
    [low, (low + high) / 2, high].map((value) => s("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, short(value))),
    s("line", { class: "axis", x1: LEFT, x2: WIDTH, y1: y(0), y2: y(0) }),
    months.map((month, at) => at % every === 0 && s("text", { x: x(at), y: HEIGHT - 6, "text-anchor": "middle" }, month.slice(2))),
    draw(x, y, step));
}

function legend(names) {
  return h("ul", { class: "legend" }, names.map((name, at) => h("li", {},
    s("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" }, s("rect", { class: `of-${at + 1}`, width: 10, height: 10 })), ` ${name}`)));
}

/**
 * @param {string} label what it shows, in words
 * @param {string[]} months
 * @param {Array<[string, number[]]>} series each with its name
 */
export function lines(label, months, series) {
  const high = ceiling(Math.max(...series.flatMap(([, values]) => values)));
  return h("figure", {}, frame(label, months, 0, high, (x, y) => series.map(([, values], at) => [
    s("polyline", { class: `of-${at + 1}`, fill: "none", points: values.map((value, i) => `${x(i)},${y(value)}`).join(" ") }),
    values.map((value, i) => s("circle", { class: `of-${at + 1}`, cx: x(i), cy: y(value), r: 3 })),
  ])), legend(series.map(([name]) => name)));
}

/** Bars side by side; values below zero hang down. */
export function bars(label, months, series) {
  const all = series.flatMap(([, values]) => values);
  const high = ceiling(Math.max(0, ...all));
  const low = Math.min(...all) < 0 ? -ceiling(-Math.min(...all)) : 0;
  return h("figure", {}, frame(label, months, low, high, (x, y, step) => series.map(([, values], at) => {
    const width = Math.max(1.5, (step * 0.8) / series.length);
    return values.map((value, i) => s("rect", {
      class: `of-${at + 1}`, width, x: x(i) - step * 0.4 + at * width,
      y: Math.min(y(value), y(0)), height: Math.abs(y(value) - y(0)),
    }));
  })), legend(series.map(([name]) => name)));
}

/** Who began to pay in a month, and how many of them still did later. */
export function cohorts(found) {
  const months = [...new Set(found.flatMap((each) => each.months.map((m) => m.month)))].sort();
  const longest = Math.max(0, ...found.map((each) => each.months.length));
  const rows = found.map((each) => {
    const first = each.months[0]?.paying || 0;
    const cells = each.months.map(({ paying }) => {
      const share = first ? Math.round((100 * paying) / first) : 0;
      return h("td", { class: "heat" }, `${share} %`, h("meter", { value: share, max: Math.max(100, share), "aria-label": `${paying} of ${first}` }));
    });
    const rest = Array.from({ length: longest - cells.length }, () => h("td", {}));
    return h("tr", {}, h("th", { scope: "row" }, `${each.month} ${each.currency} (${first})`), cells, rest);
  });
  if (!months.length || !rows.length) return h("p", { class: "note" }, "Nobody began to pay in these months.");
  const head = h("tr", {}, h("th", { scope: "col" }, "began to pay"),
    Array.from({ length: longest }, (_, at) => h("th", { scope: "col" }, at ? `+${at}` : "month")));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Cohorts" },
    h("table", {}, h("caption", {}, "How many of those who began to pay in a month still pay, by months since"),
      h("thead", {}, head), h("tbody", {}, rows)));
}
