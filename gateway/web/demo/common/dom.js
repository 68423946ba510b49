// The one helper that makes elements. Text stays text: nothing from the catalogue is ever parsed as HTML.

/**
 * @param {string} tag the element's name
 * @param {object} attributes `onclick` and the like are listeners; true, false and null switch an attribute on or off
 * @param {...(Node|string|null|false|Array)} children null and false are left out
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
