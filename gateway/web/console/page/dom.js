// What makes elements. Text stays text: nothing that anybody has typed is ever parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {string} tag the element's name
 * @param {object} attributes `onclick` and the like are listeners; true, false and null switch an attribute on or off
 * @param {...(Node|string|null|false|Array)} children null and false are left out
 */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), tag === "h1" ? { tabindex: "-1", ...attributes } : attributes, children);
}

/** The same for a picture. */
export function s(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  const shown = children.flat(Infinity).filter((child) => child != null && child !== false);
  element.append(...shown.map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

/**
 * Make a place hold what was made anew, and touch only what differs: who reads, has the keyboard on something, or has
 * opened or marked something, is not disturbed. What is the same stays as it is, with its listeners.
 */
export function patch(place, ...fresh) {
  let at = place.firstChild;
  const wanted = fresh.flat().filter((node) => node instanceof Node);
  for (const [index, node] of wanted.entries()) {
    keepOpen(at, node);
    const same = following(at).find((each) => each.isEqualNode(node));
    if (same) {
      while (at !== same) at = removed(at);
      at = at.nextSibling;
    } else if (at && isKin(at, node) && !wanted.slice(index + 1).some((each) => each.isEqualNode(at))) {
      for (const { name } of [...at.attributes]) if (!node.hasAttribute(name)) at.removeAttribute(name);
      for (const { name, value } of node.attributes) at.setAttribute(name, value);
      patch(at, [...node.childNodes]);
      at = at.nextSibling;
    } else {
      place.insertBefore(node, at);
    }
  }
  while (at) at = removed(at);
}

const LISTENING = "a, button, form, input, select, textarea, dialog";

/** Whether one element may become another: both only hold others, and neither has listeners of its own. */
const isKin = (one, other) => one instanceof Element && other instanceof Element && one.tagName === other.tagName && !one.matches(LISTENING);

function keepOpen(old, fresh) {
  if (old instanceof HTMLDetailsElement && fresh instanceof HTMLDetailsElement) fresh.open = old.open;
}

function following(node) {
  const found = [];
  for (let each = node; each; each = each.nextSibling) found.push(each);
  return found;
}

function removed(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

/** A moment as all of the gateway writes it: UTC, to the second. */
export function moment(text) {
  return text ? h("time", { datetime: text }, text.slice(0, 19).replace("T", " ")) : "–";
}

const GOOD = new Set(["APPLIED", "DELIVERED", "SENT", "COUNTED", "DONE", "ACTIVE", "TRIALING", "PAID", "ok", "YES"]);
const BAD = new Set(["DEAD", "REFUSED", "UNPAID", "INCOMPLETE_EXPIRED", "failed", "NO", "UNCOLLECTIBLE"]);
const WARN = new Set(["FAILED", "PENDING", "PAST_DUE", "INCOMPLETE", "OPEN", "warning", "PAUSED"]);

/** A state, in words and by its colour. */
export function state(word) {
  const look = GOOD.has(word) ? "good" : BAD.has(word) ? "bad" : WARN.has(word) ? "warn" : "";
  return h("span", { class: `state ${look}` }, String(word).toLowerCase().replaceAll("_", " "));
}

export const id = (text) => (text ? h("span", { class: "id" }, text) : "–");

/**
 * @param {string} caption what the table is of
 * @param {string[]} heads the columns; one that begins with `#` holds numbers
 * @param {Array<Array>} rows the cells
 */
export function table(caption, heads, rows) {
  const look = (head) => (head.startsWith("#") ? "number" : null);
  const head = h("tr", {}, heads.map((each) => h("th", { scope: "col", class: look(each) }, each.replace("#", ""))));
  const cells = rows.map((row) => h("tr", {}, row.map((cell, at) => h("td", { class: look(heads[at]) }, cell ?? "–"))));
  const none = h("tr", {}, h("td", { colspan: heads.length, class: "note" }, "None."));
  const body = h("tbody", {}, rows.length ? cells : none);
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {}, h("caption", {}, caption), h("thead", {}, head), body));
}

/** Facts by their names. */
export function facts(pairs) {
  return h("dl", { class: "facts" }, pairs.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value ?? "–"))));
}

export function card(title, ...children) {
  return h("section", { class: "card" }, h("h2", {}, title), children);
}

let telling;

/** Say briefly what was done, also to who does not see it. */
export function toast(text) {
  const place = document.querySelector("#toast");
  place.textContent = text;
  clearTimeout(telling);
  telling = setTimeout(() => { place.textContent = ""; }, 8000);
}

/**
 * Ask before something is changed.
 *
 * @param {string} title what is to be done
 * @param {string} text what that means
 * @param {Array<[string, object]>} fields each a label and the attributes of its input, whose `name` is the key
 * @returns {Promise<object|null>} what was typed; null when it was given up
 */
export function confirmed(title, text, fields = []) {
  const before = document.activeElement;
  const inputs = fields.map(([label, attributes]) => h("label", {}, label, h("input", attributes)));
  const form = h("form", { method: "dialog" },
    h("h2", {}, title), h("p", {}, text), inputs,
    h("div", { class: "tools" },
      h("button", { value: "yes" }, title),
      h("button", { type: "button", class: "quiet", onclick: () => dialog.close("") }, "Give up")));
  const dialog = h("dialog", { "aria-label": title }, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      dialog.close("yes");
    });
    dialog.addEventListener("close", () => {
      const typed = Object.fromEntries([...form.querySelectorAll("input")].map((each) => [each.name, each.value]));
      dialog.remove();
      if (before instanceof HTMLElement) before.focus();
      resolve(dialog.returnValue === "yes" ? typed : null);
    });
  });
}
