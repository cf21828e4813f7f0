// What drawings of the page share: plotly, once it is loaded, and the colours of the theme.

import { crystalWords, elementColours, plotCrystal } from "./crystal.js";
import { formulaNodes } from "./formula.js";
import { make, shape } from "./text.js";

/** Return plotly once its script has been read. */
export function plotly() {
  return new Promise((resolve) => {
    if (window.Plotly) resolve(window.Plotly);
    else window.addEventListener("load", () => resolve(window.Plotly));
  });
}

/** Return the colours of drawings in the theme of the moment. */
export function theme() {
  const probe = make("span");
  document.body.append(probe);
  const colour = (name) => {
    probe.className = `probe-${name}`;
    return getComputedStyle(probe).color;
  };
  const found = Object.fromEntries(["ink", "grid", "line", "soft", "mark", "halo"].map((name) => [name, colour(name)]));
  probe.remove();
  return found;
}

/** Draw again what is on the page when the theme changes. */
export function whenThemeChanges(draw) {
  document.addEventListener("matlake-theme", draw);
}

/** Draw a crystal with its legend and its cell in words into three elements. */
export async function showCrystal(crystal, { plot, legend, words }) {
  const colours = elementColours(crystal.elements.map((element) => element.symbol));
  legend.replaceChildren(
    ...crystal.elements.map((element, kind) => {
      const dot = shape("circle", { cx: 7, cy: 7, r: 6.5, fill: colours[kind], stroke: "#5b6875", "stroke-width": 0.5 });
      return make("li", {}, shape("svg", { viewBox: "0 0 14 14", "aria-hidden": "true" }, dot), element.symbol);
    }),
  );
  words.replaceChildren(...formulaNodes(crystal.formula), `, ${crystalWords(crystal)}`);
  const { ink, line, soft } = theme();
  await plotCrystal(await plotly(), plot, crystal, { font: { family: "inherit", size: 14, color: ink }, line, soft });
}
