// The one helper that makes elements. Text stays text: nothing from the catalogue is ever parsed as HTML.

/**
 * @param {string} tag the element's name
 * @param {Record<string, any>} attributes `onclick` and the like are listeners; true, false and null switch an attribute
 * @param {...any} children nodes, texts and lists of them; null and false are left out
 * @returns {any} the element
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

/** A text that the seller wrote: its own direction of writing does not touch what stands beside it. */
export const bdi = (text) => text && h("bdi", {}, text);

/**
 * An address that may be followed; null for one that would run a program (`javascript:`) or is none.
 *
 * @param {string | null | undefined} address
 */
export function web(address) {
  if (!address) return null;
  const url = URL.canParse(address, location.href) ? new URL(address, location.href) : null;
  return url && /^https?:$/.test(url.protocol) ? url.href : null;
}

/**
 * Leaves the page for an address that the API gave.
 *
 * @param {string | null | undefined} address
 */
export function leave(address) {
  const url = web(address);
  if (!url) throw new Error(`no address to go to: ${address}`);
  location.assign(url);
}
