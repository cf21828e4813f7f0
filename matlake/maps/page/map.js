// The map: points, colours, hover, search, selection, the crystal of a point.

import { crystalWords, elementColours, plotCrystal } from "./crystal.js";
import { formulaNodes, searchRows } from "./formula.js";
import { thinWhileMoving } from "./moving.js";
import { loadLibrary, unpack, unpackJson } from "./unpack.js";

// cividis, which looks alike to all colour vision; its darkest part is left out on dark ground, its lightest on light
const CIVIDIS = ["#00224e", "#083370", "#35456c", "#4f576c", "#666970", "#7d7c78", "#948e77", "#aea371", "#c8b866", "#e5cf52", "#fee838"];
const DIM = "#304a8a"; // where the scale begins on dark ground: seen on it, and still darker than what follows
// Okabe and Ito's, the most frequent value first
const CATEGORIES = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c564b"];
const OTHER = "#7d8792";
const SYMBOLS = ["circle", "diamond", "square"];
const MISSING = -1;
const LISTED = 300; // of the selected materials; copies and downloads have all
const RINGS = 30;
const WHOLE = { "xaxis.autorange": true, "yaxis.autorange": true };
// plotly draws twice as many pixels along each side as a plain screen has, which costs a third more without a graphics card
const PIXELS = Math.min(2, Math.max(1, window.devicePixelRatio));
const QUIET = { displayModeBar: false, responsive: true, scrollZoom: true, doubleClick: "reset", plotGlPixelRatio: PIXELS };

const find = (id) => document.getElementById(id);
const count = (number) => number.toLocaleString("en");
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const map = { facts: null, formulas: [], ids: [], words: null, numbers: null, codes: null, home: null, xy: null, crystal: null };
const state = { traces: [], hidden: new Set(), selected: [], shown: null, drag: "pan", own: false };
const crystals = new Map(); // blocks that were unpacked
let Plotly = null;

async function start() {
  if (!("DecompressionStream" in window)) throw new Error("This browser is too old for this page: take one of 2023 or later.");
  map.facts = await unpackJson("facts");
  [map.formulas, map.ids, map.xy] = await Promise.all([unpackJson("formulas"), unpackJson("ids"), floats("xy")]);
  if (find("data-words")) map.words = await unpackJson("words");
  if (find("data-numbers")) map.numbers = new Float64Array(await unpack("numbers"));
  if (find("data-codes")) map.codes = new Int16Array(await unpack("codes"));
  map.home = new Uint8Array(await unpack("home"));
  map.crystal = new Int32Array(await unpack("crystal"));
  writeFacts();
  Plotly = await loadLibrary();
  drawLegend();
  await drawMap();
  thinWhileMoving(find("map"), map.formulas.length);
  find("loading").hidden = true;
  listen();
  document.documentElement.dataset.ready = "yes";
}

async function floats(name) {
  return new Float32Array(await unpack(name));
}

function writeFacts() {
  find("summary").textContent = map.facts.summary;
  find("notes").replaceChildren(
    ...map.facts.notes.map((note) => {
      const item = document.createElement("li");
      item.textContent = note;
      return item;
    }),
  );
}

// ---- points ---------------------------------------------------------------------------------------------------------

/** Return the rows in an order in which neighbours in the dataset are far apart, so that no part of it hides another. */
function mixedOrder(total) {
  let step = Math.max(1, Math.round(total * 0.618));
  const divisor = (a, b) => (b === 0 ? a : divisor(b, a % b));
  while (divisor(step, total) !== 1) step += 1;
  const rows = new Uint32Array(total);
  for (let place = 0; place < total; place += 1) rows[place] = (place * step) % total;
  return rows;
}

/** Put the rows into groups, one trace each: by dataset, and by category or whether there is a value. */
function groups() {
  const { colour, datasets } = map.facts;
  const codes = colour === null ? [0] : colour.categories === null ? [MISSING, 0] : [MISSING, ...colour.categories.keys(), colour.categories.length];
  const codeOf = (row) => (map.codes ? map.codes[row] : map.numbers && Number.isNaN(map.numbers[row]) ? MISSING : 0);
  const sorted = datasets.map(() => new Map(codes.map((code) => [code, []])));
  for (const row of mixedOrder(map.formulas.length)) sorted[map.home[row]].get(codeOf(row)).push(row);
  return sorted.flatMap((byCode, home) => [...byCode].filter(([, rows]) => rows.length > 0).map(([code, rows]) => ({ home, code, rows })));
}

function size() {
  const total = map.formulas.length;
  return total > 50000 ? 3 : total > 10000 ? 4 : total > 2000 ? 5.5 : 8;
}

function scale() {
  const shown = dark.matches ? [DIM, ...CIVIDIS.slice(3)] : CIVIDIS.slice(0, -1);
  return shown.map((colour, place) => [place / (shown.length - 1), colour]);
}

function colourOf(code) {
  const { colour } = map.facts;
  if (code === MISSING) return style("--missing");
  if (colour === null) return dark.matches ? "#56b4e9" : "#0072b2";
  return code < colour.categories.length ? CATEGORIES[code] : OTHER;
}

function marker({ code, home, rows }) {
  const { colour } = map.facts;
  const look = { size: size() * (home > 0 ? 1.5 : 1), opacity: code === MISSING ? 0.55 : 0.85, symbol: SYMBOLS[home % SYMBOLS.length] };
  if (home > 0) look.line = { width: 0.8, color: style("--ink") };
  if (colour === null || colour.categories !== null || code === MISSING) return { ...look, color: colourOf(code) };
  return { ...look, color: Float64Array.from(rows, (row) => map.numbers[row]), cmin: colour.low, cmax: colour.high, colorscale: scale() };
}

function hasWebgl() {
  return document.createElement("canvas").getContext("webgl") !== null;
}

function axis(title) {
  const bare = { title: { text: title, font: { size: 13 } }, zeroline: false, gridcolor: style("--grid"), linecolor: style("--grid"), automargin: true };
  return map.facts.projection === "umap" ? { ...bare, showticklabels: false } : bare;
}

function layout() {
  return {
    font: { family: "inherit", size: 13, color: style("--ink") },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 10, r: 10, t: 8, b: 10 },
    xaxis: axis(map.facts.axes[0]),
    yaxis: axis(map.facts.axes[1]),
    showlegend: false,
    hovermode: "closest",
    hoverdistance: 12,
    dragmode: state.drag,
    shapes: rings(),
    newselection: { line: { color: style("--ring"), width: 2 } },
    activeselection: { fillcolor: "rgba(0,0,0,0)" },
  };
}

async function drawMap() {
  const type = hasWebgl() ? "scattergl" : "scatter";
  state.traces = groups();
  const traces = state.traces.map((group) => ({
    type,
    mode: "markers",
    x: Float32Array.from(group.rows, (row) => map.xy[2 * row]),
    y: Float32Array.from(group.rows, (row) => map.xy[2 * row + 1]),
    marker: marker(group),
    hoverinfo: "none",
    selected: { marker: { opacity: 1 } },
    unselected: { marker: { opacity: 0.1 } },
  }));
  await Plotly.newPlot("map", traces, layout(), QUIET);
}

/** Draw in the colours of day or night. */
async function recolour() {
  drawLegend();
  const looks = state.traces.map(marker);
  await Plotly.update("map", { marker: looks }, layout());
  if (state.shown !== null) await show(state.shown);
}

// ---- colours --------------------------------------------------------------------------------------------------------

function drawLegend() {
  const { colour, datasets } = map.facts;
  const entries = [];
  if (colour !== null && colour.categories === null) {
    const stops = scale().map(([place, shade]) => `${shade} ${Math.round(100 * place)}%`);
    find("scale").hidden = false;
    find("scale-title").textContent = labelled(colour);
    find("scale-bar").style.background = `linear-gradient(to right, ${stops.join(", ")})`;
    const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => written(colour.low + share * (colour.high - colour.low), 3));
    if (colour.below) ticks[0] = `≤ ${ticks[0]}`;
    if (colour.above) ticks[4] = `≥ ${ticks[4]}`;
    find("scale-ticks").replaceChildren(
      ...ticks.map((tick) => {
        const cell = document.createElement("span");
        cell.textContent = tick;
        return cell;
      }),
    );
  }
  if (colour?.categories) {
    colour.categories.forEach((name, code) => entries.push({ key: `code ${code}`, name, color: colourOf(code) }));
    if (colour.others > 0) entries.push({ key: `code ${colour.categories.length}`, name: `${count(colour.others)} other value${colour.others === 1 ? "" : "s"}`, color: OTHER });
  }
  if (colour?.missing > 0) entries.push({ key: `code ${MISSING}`, name: `no value (${count(colour.missing)})`, color: colourOf(MISSING) });
  if (datasets.length > 1) datasets.forEach((name, home) => entries.push({ key: `home ${home}`, name, symbol: SYMBOLS[home % SYMBOLS.length] }));
  find("legend").hidden = entries.length === 0;
  find("legend").replaceChildren(...entries.map(legendItem));
}

function legendItem({ key, name, color, symbol }) {
  const [item, button, dot, text] = ["li", "button", "span", "span"].map((tag) => document.createElement(tag));
  button.type = "button";
  button.title = name;
  button.setAttribute("aria-pressed", String(!state.hidden.has(key)));
  dot.className = `dot ${symbol ?? ""}`;
  dot.style.background = color ?? "transparent";
  text.textContent = name;
  button.append(dot, text);
  button.addEventListener("click", () => {
    if (!state.hidden.delete(key)) state.hidden.add(key);
    button.setAttribute("aria-pressed", String(!state.hidden.has(key)));
    const visible = state.traces.map(({ home, code }) => !state.hidden.has(`code ${code}`) && !state.hidden.has(`home ${home}`));
    Plotly.restyle("map", { visible });
  });
  item.append(button);
  return item;
}

function labelled({ quantity, unit }) {
  return unit ? `${quantity} (${unit})` : quantity;
}

function written(value, digits = 5) {
  return Number(value.toPrecision(digits)).toString().replace("-", "−");
}

function valueWords(row) {
  const { colour } = map.facts;
  if (colour === null) return null;
  if (map.words) return map.words[row] ?? "no value";
  const value = map.numbers[row];
  return Number.isNaN(value) ? "no value" : `${written(value)} ${colour.unit}`.trim();
}

// ---- one material ---------------------------------------------------------------------------------------------------

function paragraph(...content) {
  const line = document.createElement("p");
  line.append(...content);
  return line;
}

function hover(event) {
  const point = event.points[0];
  const row = state.traces[point.curveNumber].rows[point.pointNumber];
  const name = document.createElement("strong");
  name.append(...formulaNodes(map.formulas[row]));
  const lines = [paragraph(name)];
  const value = valueWords(row);
  if (value !== null) lines.push(paragraph(`${map.facts.colour.quantity}: ${value}`));
  lines.push(paragraph(map.facts.datasets.length > 1 ? `${map.ids[row]}, ${map.facts.datasets[map.home[row]]}` : map.ids[row]));
  const tip = find("tip");
  tip.replaceChildren(...lines);
  tip.hidden = false;
  const { clientX, clientY } = event.event;
  const left = Math.min(clientX + 14, window.innerWidth - tip.offsetWidth - 8);
  const top = clientY + 18 + tip.offsetHeight > window.innerHeight ? clientY - tip.offsetHeight - 12 : clientY + 18;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${Math.max(8, top)}px`;
}

/** Show a material beside the map, with its crystal if the file has it; ``view`` is what else changes on the map. */
async function show(row, view = {}) {
  state.shown = row;
  find("nothing").hidden = true;
  find("material").hidden = false;
  find("formula").replaceChildren(...formulaNodes(map.formulas[row]));
  const rows = [["id", map.ids[row]], ["dataset", map.facts.datasets[map.home[row]]]];
  const value = valueWords(row);
  if (value !== null) rows.push([map.facts.colour.quantity, value]);
  find("facts").replaceChildren(
    ...rows.flatMap(([term, text]) => {
      const [name, content] = ["dt", "dd"].map((tag) => document.createElement(tag));
      name.textContent = term;
      content.textContent = text;
      return [name, content];
    }),
  );
  const same = rowsAt(row);
  find("same").textContent = same.length === 0 ? "" : `At the same place: ${some(same.map((other) => `${map.formulas[other]} (${map.ids[other]})`))}.`;
  Plotly.relayout("map", { ...view, shapes: rings() });
  await drawCrystal(row);
}

function some(texts) {
  return texts.length <= 5 ? texts.join(", ") : `${texts.slice(0, 5).join(", ")} and ${count(texts.length - 5)} more`;
}

function rowsAt(row) {
  const found = [];
  for (let other = 0; other < map.ids.length; other += 1) {
    if (other !== row && map.xy[2 * other] === map.xy[2 * row] && map.xy[2 * other + 1] === map.xy[2 * row + 1]) found.push(other);
  }
  return found;
}

async function drawCrystal(row) {
  const number = map.crystal[row];
  const { stored, available } = map.facts.crystals;
  const box = find("crystal-box");
  box.hidden = number < 0;
  if (number < 0) {
    const left = `This file has the crystals of ${count(stored)} of ${count(available)} materials, drawn at random; this one is not among them.`;
    find("crystal-words").textContent = available === 0 ? "" : number === -1 ? "This material has no crystal structure." : left;
    return;
  }
  const together = map.facts.crystals_together;
  const block = Math.floor(number / together);
  if (!crystals.has(block)) crystals.set(block, await unpackJson(`crystals-${block}`));
  if (state.shown !== row) return; // another one was clicked meanwhile
  const crystal = crystals.get(block)[number % together];
  const symbols = crystal.elements.map((element) => element.symbol);
  const colours = elementColours(symbols);
  find("elements").replaceChildren(
    ...symbols.map((symbol, kind) => {
      const [item, dot] = ["li", "span"].map((tag) => document.createElement(tag));
      dot.className = "dot";
      dot.style.background = colours[kind];
      item.append(dot, symbol);
      return item;
    }),
  );
  find("crystal-words").textContent = crystalWords(crystal);
  const font = { family: "inherit", size: 13, color: style("--ink") };
  await plotCrystal(Plotly, "crystal", crystal, { font, line: "#7a8794", soft: "#9aa6b2" });
}

// ---- selection ------------------------------------------------------------------------------------------------------

/** Return circles around the shown material and the selected ones, where these are few. */
function rings() {
  const few = state.selected.length <= RINGS ? state.selected : [];
  const rows = new Set([...few, ...(state.shown === null ? [] : [state.shown])]);
  return [...rows].map((row) => {
    const radius = row === state.shown ? 11 : 8;
    return {
      type: "circle",
      xsizemode: "pixel",
      ysizemode: "pixel",
      xanchor: map.xy[2 * row],
      yanchor: map.xy[2 * row + 1],
      x0: -radius,
      x1: radius,
      y0: -radius,
      y1: radius,
      line: { color: style("--ring"), width: row === state.shown ? 3 : 2 },
    };
  });
}

/** Select rows: their points stay, the others fade; their ids are listed. */
async function select(rows, words) {
  state.selected = rows;
  listSelected(words);
  const chosen = new Uint8Array(map.ids.length);
  for (const row of rows) chosen[row] = 1;
  const places = state.traces.map((group) => group.rows.flatMap((row, place) => (chosen[row] ? [place] : [])));
  state.own = true; // plotly tells of selections that we make as it does of those that people draw
  try {
    await Plotly.update("map", { selectedpoints: rows.length > 0 ? places : null }, { shapes: rings(), selections: [] });
  } finally {
    state.own = false;
  }
}

function listSelected(words) {
  const rows = state.selected;
  find("selected").hidden = rows.length === 0;
  find("selected-hint").hidden = rows.length > 0;
  find("copied").textContent = "";
  find("selected-title").textContent = words ?? (rows.length === 0 ? "Nothing selected" : `${count(rows.length)} selected`);
  find("list").replaceChildren(
    ...rows.slice(0, LISTED).map((row) => {
      const [item, button, formula, id, value] = ["li", "button", "span", "span", "span"].map((tag) => document.createElement(tag));
      button.type = "button";
      formula.append(...formulaNodes(map.formulas[row]));
      id.textContent = map.ids[row];
      value.textContent = valueWords(row) ?? "";
      button.append(formula, id, value);
      button.addEventListener("click", () => show(row));
      item.append(button);
      return item;
    }),
  );
  find("more").textContent = rows.length > LISTED ? `The first ${LISTED} are listed; copy and download have all ${count(rows.length)}.` : "";
}

function lassoed(event) {
  if (state.own || !(event?.range || event?.lassoPoints)) return;
  const rows = event.points.map((point) => state.traces[point.curveNumber].rows[point.pointNumber]).sort((p, q) => p - q);
  // once plotly is done with the drag, which would fade the points inside as well
  setTimeout(() => select(rows, rows.length === 0 ? "No point inside" : undefined), 0);
}

async function search(event) {
  event.preventDefault();
  const query = find("query").value;
  const rows = searchRows(query, map.formulas, map.ids);
  if (query.trim() === "") {
    await select([]);
    return;
  }
  await select(rows, rows.length === 0 ? `Nothing on this map is ${query.trim()}` : `${count(rows.length)} found for ${query.trim()}`);
  if (rows.length > 0) await show(rows[0], WHOLE);
}

async function copy() {
  const text = state.selected.map((row) => map.ids[row]).join("\n");
  const done = `${count(state.selected.length)} id${state.selected.length === 1 ? "" : "s"} copied`;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = document.createElement("textarea"); // where a page from a disk has no clipboard
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  find("copied").textContent = done;
}

function csv() {
  const { colour, datasets } = map.facts;
  const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const raw = (row) => (map.words ? (map.words[row] ?? "") : Number.isNaN(map.numbers[row]) ? "" : String(map.numbers[row]));
  const head = ["dataset", "material_id", "formula", ...(colour ? [colour.name] : []), "x", "y"];
  const lines = state.selected.map((row) => [
    datasets[map.home[row]],
    map.ids[row],
    map.formulas[row],
    ...(colour ? [raw(row)] : []),
    String(map.xy[2 * row]),
    String(map.xy[2 * row + 1]),
  ]);
  return [head, ...lines].map((cells) => cells.map(quoted).join(",")).join("\n") + "\n";
}

function download() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  link.download = "selected.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function listen() {
  const plot = find("map");
  const drags = [...document.querySelectorAll("[data-drag]")];
  for (const button of drags) {
    button.addEventListener("click", () => {
      state.drag = button.dataset.drag;
      drags.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
      Plotly.relayout(plot, { dragmode: state.drag });
    });
  }
  plot.on("plotly_hover", hover);
  plot.on("plotly_unhover", () => { find("tip").hidden = true; });
  plot.on("plotly_click", (event) => {
    const point = event.points[0];
    show(state.traces[point.curveNumber].rows[point.pointNumber]);
  });
  plot.on("plotly_selected", lassoed);
  plot.on("plotly_deselect", () => { if (!state.own) select([]); });
  find("search").addEventListener("submit", search);
  find("copy").addEventListener("click", copy);
  find("download").addEventListener("click", download);
  find("clear").addEventListener("click", () => select([]));
  find("whole").addEventListener("click", () => Plotly.relayout(plot, WHOLE));
  find("picture").addEventListener("click", () => Plotly.downloadImage(plot, { format: "png", scale: 2, filename: "map" }));
  dark.addEventListener("change", recolour);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") select([]);
    if (event.key === "/" && document.activeElement !== find("query")) {
      event.preventDefault();
      find("query").focus();
    }
  });
}

start().catch((error) => {
  find("loading").textContent = error.message;
  throw error;
});
