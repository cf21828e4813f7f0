// What drawings of the page share: plotly, once it is loaded, and the colours of the theme.

import { coloursOf, drawCrystal3d } from "./crystal3d.js";
import { formulaNodes, make, shape, written } from "./text.js";

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
  const colours = coloursOf(crystal.elements.map((element) => element.symbol));
  legend.replaceChildren(
    ...crystal.elements.map((element, kind) => {
      const dot = shape("circle", { cx: 7, cy: 7, r: 6.5, fill: colours[kind], stroke: "#5b6875", "stroke-width": 0.5 });
      return make("li", {}, shape("svg", { viewBox: "0 0 14 14", "aria-hidden": "true" }, dot), element.symbol);
    }),
  );
  const [a, b, c] = crystal.edges_A.map((edge) => written(edge, 2));
  const [alpha, beta, gamma] = crystal.angles_deg.map((angle) => written(angle, 1));
  words.replaceChildren(
    ...formulaNodes(crystal.formula),
    `, ${crystal.atoms} atom${crystal.atoms === 1 ? "" : "s"} in a cell of ${a} × ${b} × ${c} Å (${alpha}°, ${beta}°, ${gamma}°).`,
    crystal.complete ? " Drag to turn it." : " The cell is large: a part of it is drawn.",
  );
  await drawCrystal3d(await plotly(), plot, crystal, theme());
}
