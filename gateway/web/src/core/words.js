// The reader's language: the elements' sentences, and how numbers and days are written.

/** The languages that there are sentences in. */
export const LANGUAGES = ["en", "de", "fr", "es", "nl", "pt", "it", "ja", "ar"];
const FROM_RIGHT_TO_LEFT = ["ar"];

const kept = new Map();

/** @param {string} tag */
export const languageOf = (tag) => tag.split("-")[0].toLowerCase();

/** Whether a tag is one, and of a language that there are sentences in. @param {string} tag */
export function speaks(tag) {
  try {
    return Boolean(Intl.getCanonicalLocales(tag)) && LANGUAGES.includes(languageOf(tag));
  } catch {
    return false;
  }
}

/** @param {string} tag */
export const directionOf = (tag) => (FROM_RIGHT_TO_LEFT.includes(languageOf(tag)) ? "rtl" : "ltr");

/**
 * The sentences of a locale's language.
 *
 * @param {string} locale a tag that `speaks`
 * @param {string} url of the gateway, which serves them
 */
export async function wordsFor(locale, url) {
  const address = `${url}elements/languages/${languageOf(locale)}.json`;
  if (!kept.has(address)) kept.set(address, fetched(address));
  try {
    return new Words(locale, await kept.get(address));
  } catch (error) {
    kept.delete(address);
    throw error;
  }
}

async function fetched(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: ${response.status}`);
  return response.json();
}

export class Words {
  /**
   * @param {string} locale by which money, numbers and days are written
   * @param {object} sentences by their names
   */
  constructor(locale, sentences) {
    this.locale = Intl.getCanonicalLocales(locale)[0];
    this._sentences = sentences;
    /** What is told of failures, by their codes. @type {Record<string, string>} */
    this.failures = /** @type {any} */ (sentences).failures;
    this._plural = new Intl.PluralRules(this.locale);
  }

  /** @param {number} value @param {Intl.NumberFormatOptions} [options] */
  number = (value, options) => new Intl.NumberFormat(this.locale, options).format(value);

  /** @param {string} moment @param {"long" | "medium"} [dateStyle] */
  day = (moment, dateStyle = "long") => new Intl.DateTimeFormat(this.locale, { dateStyle }).format(new Date(moment));

  /** Whether there is a sentence of this name. @param {string} name */
  has = (name) => this._found(name) !== undefined;

  /**
   * A sentence.
   *
   * @param {string} name such as "plan.renews"
   * @param {Record<string, any>} [values] for its `{places}`; `count` chooses between its singular and its plural
   * @returns {string}
   */
  text = (name, values = {}) => {
    const sentence = this._found(name) ?? name;
    const one = typeof sentence === "string" ? sentence : (sentence[this._plural.select(values.count)] ?? sentence.other);
    return one.replace(/\{(\w+)\}/g, (_, place) => this._written(values[place] ?? ""));
  };

  /** What one or several units are called; a name that the seller made up stays as it is. */
  units = (label, count) =>
    this.has(`units.${label ?? "unit"}`) ? this.text(`units.${label ?? "unit"}`, { count }) : label;

  _written(value) {
    return typeof value === "number" ? this.number(value) : value;
  }

  _found(name) {
    return name.split(".").reduce((part, step) => (part && Object.hasOwn(part, step) ? part[step] : undefined), this._sentences);
  }
}
