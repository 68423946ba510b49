// The reader's language, and the shop's own sentences in it.

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

/** The tag that the elements write money, numbers and days by: the browser's, where it is of this language. */
export const locale = navigator.languages.find((tag) => languageOf(tag) === language) ?? language;

const sentences = await (await fetch(new URL(`../languages/${language}.json`, import.meta.url))).json();
const number = new Intl.NumberFormat(locale);
const written = (value) => (typeof value === "number" ? number.format(value) : value);

/**
 * A sentence of the shop.
 *
 * @param {string} name such as "shop.title"
 * @param {object} values for its `{places}`
 */
export function text(name, values = {}) {
  const sentence = name.split(".").reduce((part, step) => part?.[step], sentences) ?? name;
  return sentence.replace(/\{(\w+)\}/g, (_, place) => written(values[place] ?? ""));
}

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
