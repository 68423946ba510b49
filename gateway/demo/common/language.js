// The reader's language: the shop's sentences, and how numbers and days are written.

const LANGUAGES = { en: "English", de: "Deutsch", fr: "Français" };
const KEPT = "demo.language";

const languageOf = (tag) => tag?.split("-")[0];

/** What was chosen here, else what the address or the browser asks for, else English. */
const language = [
  localStorage.getItem(KEPT),
  new URLSearchParams(location.search).get("lang"),
  ...navigator.languages.map(languageOf),
  "en",
].find((each) => Object.hasOwn(LANGUAGES, each));

/** The tag to write money, numbers and days by: the browser's, where it is of this language. */
export const locale = navigator.languages.find((tag) => languageOf(tag) === language) ?? language;

const sentences = await (await fetch(new URL(`../languages/${language}.json`, import.meta.url))).json();
const plural = new Intl.PluralRules(locale);
const written = (value) => (typeof value === "number" ? number(value) : value);

export const number = (value, options) => new Intl.NumberFormat(locale, options).format(value);

/** @param {"long"|"medium"} [dateStyle] */
export const day = (moment, dateStyle = "long") =>
  new Intl.DateTimeFormat(locale, { dateStyle }).format(new Date(moment));

/** Whether there is a sentence of this name. */
export const has = (name) => found(name) !== undefined;

/**
 * A sentence of the shop.
 *
 * @param {string} name such as "plan.renews"
 * @param {object} values for its `{places}`; `count` chooses between its singular and its plural
 */
export function text(name, values = {}) {
  const sentence = found(name) ?? name;
  const one = typeof sentence === "string" ? sentence : (sentence[plural.select(values.count)] ?? sentence.other);
  return one.replace(/\{(\w+)\}/g, (_, place) => written(values[place] ?? ""));
}

const found = (name) => name.split(".").reduce((part, step) => part?.[step], sentences);

/** What one or several units are called; a name that the seller made up stays as it is. */
export const units = (label, count) =>
  has(`units.${label ?? "unit"}`) ? text(`units.${label ?? "unit"}`, { count }) : label;

/** Fills in what stands in the HTML, and the switch between the languages. */
export function translatePage() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]"))
    element.setAttribute("aria-label", text(element.dataset.label));
  const choice = document.getElementById("language");
  choice.replaceChildren(...Object.entries(LANGUAGES).map(([code, name]) => optionOf(code, name)));
  choice.addEventListener("change", () => {
    localStorage.setItem(KEPT, choice.value);
    location.reload();
  });
}

function optionOf(code, name) {
  const option = new Option(name, code, code === language, code === language);
  option.lang = code;
  return option;
}
