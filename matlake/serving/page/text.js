// Elements and texts. What comes from outside only ever becomes text nodes, never HTML.

const SVG = "http://www.w3.org/2000/svg";

/** Find an element of the page by its id. */
export const find = (id) => document.getElementById(id);

/**
 * Make an element. Names with a dash, and those of SVG's kind, become attributes; functions become listeners, such as
 * `onclick`; all others become properties. Children are elements and text.
 */
export function make(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined) continue;
    if (typeof value === "function") made.addEventListener(key.slice(2), value);
    else if (key.includes("-") || key === "role" || key === "scope" || key === "for") made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children);
  return made;
}

/** Make an element of an SVG drawing. */
export function shape(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Digits after the point that a number deserves whose uncertainty is known. */
export function digitsFor(spread) {
  return spread > 0 ? Math.min(6, Math.max(0, 1 - Math.floor(Math.log10(spread)))) : 3;
}

/** Write a number with so many digits after the point. */
export function written(value, digits) {
  const text = value.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "\u2212");
}

/** Write a number with three significant digits. */
export function short(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e7 || size < 1e-4) return value.toExponential(2).replace("-", "\u2212");
  return written(value, Math.min(6, Math.max(0, 2 - Math.floor(Math.log10(size)))));
}

/** Write a number of things. */
export const count = (number) => number.toLocaleString("en");

/** Write a number of things with their name. */
export function countOf(number, one, several = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : several}`;
}

/** Write a text with a capital letter first. */
export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Write what a column holds with its unit. */
export function labelled({ quantity, unit }) {
  return `${capital(quantity)}${unit ? `, ${unit}` : ""}`;
}

/** Whether a head gives the probability of yes. */
export const isYesNo = (head) => head.kind === "yes/no";

/** Write a measured value with its unit; of a yes/no property in words. */
export function measuredWords(value, head) {
  return isYesNo(head) ? (value > 0.5 ? "yes" : "no") : `${short(value)} ${head.unit}`.trim();
}

/** Write a predicted value without its unit. */
export function valueWords(value, head) {
  return written(value, isYesNo(head) ? 2 : digitsFor(head.metrics.mae));
}
