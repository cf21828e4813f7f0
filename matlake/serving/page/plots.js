// The map of the training set and the crystal, drawn by plotly.

import { formulaNodes, isYesNo, measuredWords, shape, short, written } from "./answer.js";

const QUIET = { displayModeBar: false, responsive: true };
const FONT = { family: "inherit", size: 14, color: "#17212b" };
const NEW = "#d55e00";

// Okabe and Ito's colours, which people with any colour vision can tell apart; common elements always have theirs.
const FIXED = { O: "#d55e00", N: "#0072b2", S: "#f0e442", H: "#dddddd", C: "#444444", F: "#009e73", Cl: "#009e73" };
const OTHERS = ["#56b4e9", "#cc79a7", "#e69f00", "#0072b2", "#009e73", "#f0e442", "#8c564b", "#999999"];

const RADIUS = 0.45; // drawn, as a share of the covalent one
const MOST_POINTS = 3000; // as many as a browser draws without delay
const NARROW = 500; // pixels
const FINE_UP_TO = 60; // atoms drawn with many facets

const find = (id) => document.getElementById(id);

function plotly() {
  return new Promise((resolve) => {
    if (window.Plotly) resolve(window.Plotly);
    else window.addEventListener("load", () => resolve(window.Plotly));
  });
}

/** Draw the map, and the material and its neighbours on it where there are any. */
export async function drawMap(map, head, prediction) {
  const Plotly = await plotly();
  const rows = some(map.value.length);
  const sorted = [...map.value].sort((p, q) => p - q);
  const quantile = (share) => sorted[Math.round(share * (sorted.length - 1))];
  const axis = (title) => ({ title: { text: title }, zeroline: false, gridcolor: "#e8edf1", automargin: true });
  const value = `${head.quantity}${head.unit ? ` (${head.unit})` : ""}`;
  const bar = { title: { text: value, side: "right" }, thickness: 14, outlinewidth: 0 };
  find("map-card").hidden = false; // first: the drawing is as wide as there is room
  const traces = [
    {
      type: "scatter",
      mode: "markers",
      name: "training materials",
      x: rows.map((row) => map.x[row]),
      y: rows.map((row) => map.y[row]),
      text: rows.map((row) => `${plain(map.formula[row])}: ${measuredWords(map.value[row], head)}`),
      hovertemplate: "%{text}<extra></extra>",
      marker: {
        size: 6,
        color: rows.map((row) => map.value[row]),
        cmin: quantile(0.02), // a few extreme values would take all the colours
        cmax: quantile(0.98),
        colorscale: "Cividis",
        opacity: 0.8,
        colorbar: find("map").clientWidth < NARROW ? { ...bar, title: { text: value, side: "bottom" }, orientation: "h", y: -0.2, yanchor: "top" } : bar,
      },
    },
  ];
  if (prediction?.coordinates) {
    const places = new Map(map.material_id.map((id, row) => [`${map.dataset[row]}\n${id}`, row]));
    const near = prediction.nearest.map((one) => places.get(`${one.dataset}\n${one.material_id}`)).filter((row) => row !== undefined);
    traces.push({
      type: "scatter",
      mode: "markers",
      name: "nearest",
      x: near.map((row) => map.x[row]),
      y: near.map((row) => map.y[row]),
      text: near.map((row) => `${plain(map.formula[row])}: ${measuredWords(map.value[row], head)}`),
      hovertemplate: "%{text}<extra>nearest</extra>",
      marker: { size: 13, symbol: "circle-open", color: "#17212b", line: { width: 2 } },
    });
    traces.push({
      type: "scatter",
      mode: "markers+text",
      name: "this material",
      x: [prediction.coordinates[0]],
      y: [prediction.coordinates[1] ?? 0],
      text: [plain(prediction.input)],
      textposition: "top center",
      textfont: { size: 17, color: "#17212b", weight: 700, shadow: "auto" },
      hovertemplate: `${isYesNo(head) ? `yes with probability ${prediction.value.toFixed(2)}` : `${short(prediction.value)} ${head.unit}`}<extra>this material</extra>`,
      marker: { size: 18, symbol: "star", color: NEW, line: { width: 1.5, color: "#ffffff" } },
    });
  }
  const layout = {
    font: FONT,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 10, r: 10, t: 10, b: 10 },
    xaxis: axis("widest direction of the embeddings"),
    yaxis: axis("second widest"),
    showlegend: false,
    hovermode: "closest",
    dragmode: "pan",
  };
  find("map-words").textContent =
    `Each dot is a training material${map.value.length > rows.length ? ` (${count(rows.length)} of ${count(map.value.length)})` : ""}, ` +
    `coloured by its ${head.quantity}. Materials that the encoder sees as alike are near each other; one unit is a score of 1.` +
    (prediction?.coordinates ? " The star is this material, rings are the nearest ones; two directions of many are shown." : "");
  await Plotly.react("map", traces, layout, QUIET);
}

/** Choose the rows that are drawn: all, or every second, third, …. */
function some(total) {
  const step = Math.ceil(total / MOST_POINTS);
  return Array.from({ length: Math.ceil(total / step) }, (_, place) => place * step);
}

function count(number) {
  return number.toLocaleString("en");
}

// plotly reads some HTML in labels: what a formula has no need of is left out
function plain(text) {
  const clean = text.replace(/[<>&]/g, "");
  return clean.length > 24 ? `${clean.slice(0, 23)}…` : clean;
}

/** Draw a crystal, or say why there is none. */
export async function drawCrystal(crystal) {
  find("crystal-card").hidden = crystal === null;
  find("legend").replaceChildren();
  find("crystal-words").textContent = "";
  if (crystal === null) return;
  const colours = coloursOf(crystal.elements.map((element) => element.symbol));
  find("legend").replaceChildren(
    ...crystal.elements.map((element, kind) => {
      const item = document.createElement("li");
      const dot = shape("circle", { cx: 7, cy: 7, r: 6.5, fill: colours[kind], stroke: "#5b6875", "stroke-width": 0.5 });
      item.append(shape("svg", { viewBox: "0 0 14 14" }, dot), element.symbol);
      return item;
    }),
  );
  const [a, b, c] = crystal.edges_A.map((edge) => written(edge, 2));
  const [alpha, beta, gamma] = crystal.angles_deg.map((angle) => written(angle, 1));
  find("crystal-words").replaceChildren(
    ...formulaNodes(crystal.formula),
    `, ${crystal.atoms} atom${crystal.atoms === 1 ? "" : "s"} in a cell of ${a} × ${b} × ${c} Å (${alpha}°, ${beta}°, ${gamma}°).`,
    crystal.complete ? " Drag to turn it." : " The cell is large: a part of it is drawn.",
  );
  const Plotly = await plotly();
  const hidden = { visible: false };
  await Plotly.react(
    "crystal",
    [cellTrace(crystal), bondTrace(crystal), ...atomTraces(crystal, colours)],
    {
      font: FONT,
      paper_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 0, r: 0, t: 0, b: 0 },
      showlegend: false,
      scene: {
        xaxis: hidden,
        yaxis: hidden,
        zaxis: hidden,
        aspectmode: "data",
        dragmode: "orbit",
        camera: { eye: { x: 1.5, y: 1.05, z: 0.65 } },
      },
    },
    QUIET,
  );
}

function coloursOf(symbols) {
  const colours = symbols.map((symbol) => FIXED[symbol]);
  const free = OTHERS.filter((colour) => !colours.includes(colour));
  return colours.map((colour) => colour ?? free.shift() ?? "#999999");
}

function cellTrace({ lattice }) {
  const corner = (i, j, k) => [0, 1, 2].map((axis) => i * lattice[0][axis] + j * lattice[1][axis] + k * lattice[2][axis]);
  const lines = [];
  for (const [i, j] of [[0, 0], [0, 1], [1, 0], [1, 1]]) {
    lines.push([corner(0, i, j), corner(1, i, j)], [corner(i, 0, j), corner(i, 1, j)], [corner(i, j, 0), corner(i, j, 1)]);
  }
  return lineTrace(lines, "#5b6875", 2);
}

function bondTrace({ bonds, sites }) {
  return lineTrace(bonds.map((pair) => pair.map((site) => sites[site].slice(1))), "#9aa6b2", 9);
}

function lineTrace(lines, color, width) {
  const along = (axis) => lines.flatMap(([start, end]) => [start[axis], end[axis], null]);
  return { type: "scatter3d", mode: "lines", x: along(0), y: along(1), z: along(2), line: { color, width }, hoverinfo: "skip" };
}

/** One mesh an element: spheres are round from all sides and hide what is behind them. */
function atomTraces({ elements, sites }, colours) {
  const ball = sphere(sites.length <= FINE_UP_TO ? 3 : 2);
  return elements.map((element, kind) => {
    const mesh = { x: [], y: [], z: [], i: [], j: [], k: [] };
    for (const [own, ...centre] of sites) {
      if (own !== kind) continue;
      const start = mesh.x.length;
      for (const point of ball.points) {
        ["x", "y", "z"].forEach((axis, d) => mesh[axis].push(centre[d] + RADIUS * element.radius_A * point[d]));
      }
      for (const face of ball.faces) ["i", "j", "k"].forEach((corner, d) => mesh[corner].push(start + face[d]));
    }
    return {
      type: "mesh3d",
      ...mesh,
      name: element.symbol,
      color: colours[kind],
      hovertemplate: `${element.symbol}<extra></extra>`,
      facenormalsepsilon: 0, // small faces have a direction, too
      vertexnormalsepsilon: 0,
      lighting: { ambient: 0.75, diffuse: 0.7, specular: 0.15, roughness: 0.6, fresnel: 0.05 },
      lightposition: { x: 1000, y: 1000, z: 2000 },
    };
  });
}

/** An octahedron whose faces are divided into four, several times, and moved onto the unit sphere. */
function sphere(divisions) {
  const points = [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]];
  let faces = [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]];
  const known = new Map();
  const middle = (p, q) => {
    const name = p < q ? `${p},${q}` : `${q},${p}`;
    if (!known.has(name)) {
      const sum = points[p].map((value, d) => value + points[q][d]);
      known.set(name, points.push(sum.map((value) => value / Math.hypot(...sum))) - 1);
    }
    return known.get(name);
  };
  for (let round = 0; round < divisions; round += 1) {
    faces = faces.flatMap(([p, q, r]) => {
      const [pq, qr, rp] = [middle(p, q), middle(q, r), middle(r, p)];
      return [[p, pq, rp], [pq, q, qr], [rp, qr, r], [pq, qr, rp]];
    });
  }
  return { points, faces };
}
