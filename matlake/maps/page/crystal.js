// A crystal as plotly draws it: the cell, bonds, atoms as spheres. A crystal is what Python's crystal_drawing.draw gives.
// The page of `matlake serve` uses this file as it is.

// Okabe and Ito's colours, which people with any colour vision can tell apart; common elements always have theirs.
const FIXED = { O: "#d55e00", N: "#0072b2", S: "#f0e442", H: "#dddddd", C: "#444444", F: "#009e73", Cl: "#009e73" };
const OTHERS = ["#56b4e9", "#cc79a7", "#e69f00", "#0072b2", "#009e73", "#f0e442", "#8c564b", "#999999"];

const RADIUS = 0.45; // drawn, as a share of the covalent one
const FINE_UP_TO = 60; // atoms drawn with many facets

/** Return a colour for each element. */
export function elementColours(symbols) {
  const colours = symbols.map((symbol) => FIXED[symbol]);
  const free = OTHERS.filter((colour) => !colours.includes(colour));
  return colours.map((colour) => colour ?? free.shift() ?? "#999999");
}

/**
 * Draw a crystal into an element; one that is drawn there already is replaced.
 *
 * `look` has the `font` of plotly, and the colours `line` of the cell's edges and `soft` of bonds.
 */
export async function plotCrystal(Plotly, element, crystal, look) {
  const colours = elementColours(crystal.elements.map(({ symbol }) => symbol));
  const traces = [cellTrace(crystal, look.line), bondTrace(crystal, look.soft), ...atomTraces(crystal, colours)];
  const hidden = { visible: false };
  const layout = {
    font: look.font,
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
  };
  await Plotly.react(element, traces, layout, { displayModeBar: false, responsive: true });
}

/** Say in words what is drawn. */
export function crystalWords(crystal) {
  const edges = crystal.edges_A.map((edge) => edge.toFixed(2)).join(" × ");
  const angles = crystal.angles_deg.map((angle) => `${angle.toFixed(1)}°`).join(", ");
  const atoms = `${crystal.atoms} atom${crystal.atoms === 1 ? "" : "s"}`;
  const hint = crystal.complete ? "Drag to turn it." : "The cell is large: a part of it is drawn.";
  return `${atoms} in a cell of ${edges} Å (${angles}). ${hint}`;
}

function cellTrace({ lattice }, color) {
  const corner = (i, j, k) => [0, 1, 2].map((axis) => i * lattice[0][axis] + j * lattice[1][axis] + k * lattice[2][axis]);
  const lines = [];
  for (const [i, j] of [[0, 0], [0, 1], [1, 0], [1, 1]]) {
    lines.push([corner(0, i, j), corner(1, i, j)], [corner(i, 0, j), corner(i, 1, j)], [corner(i, j, 0), corner(i, j, 1)]);
  }
  return lineTrace(lines, color, 2);
}

function bondTrace({ bonds, sites }, color) {
  return lineTrace(bonds.map((pair) => pair.map((site) => sites[site].slice(1))), color, 9);
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
