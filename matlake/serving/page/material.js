// One material of the lake in a dialog: its properties, its prediction, its neighbours, its crystal.

import { send } from "./api.js";
import { placeOf } from "./answer.js";
import { columnValues } from "./columns.js";
import { showCrystal } from "./drawing.js";
import { formulaNodes } from "./formula.js";
import { served } from "./served.js";
import { capital, find, isYesNo, make, short, valueWords } from "./text.js";

const NEIGHBOURS = 6;

let running = null;

/** Show a material: `dataset` and `material_id`, and `formula` while it is being loaded. */
export async function openMaterial({ dataset, material_id, formula }) {
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  find("material-title").replaceChildren(...formulaNodes(formula ?? material_id));
  find("material-body").replaceChildren(make("p", { className: "muted busy", role: "status" }, "Loading…"));
  if (!find("material-dialog").open) find("material-dialog").showModal();
  find("material-title").focus(); // what was pressed may have gone with the material before
  try {
    const material = await send("/v1/material", { dataset, material_id }, signal);
    find("material-title").replaceChildren(...formulaNodes(material.formula));
    const parts = [propertiesPart(material), predictionPart(material, signal), neighboursPart(material, signal)];
    if (material.structure !== null) parts.push(crystalPart(material, signal));
    find("material-body").replaceChildren(make("div", { className: "two" }, ...parts));
  } catch (error) {
    if (error.name !== "AbortError") find("material-body").replaceChildren(problem(error));
  }
}

function section(title, ...children) {
  return make("section", { "aria-label": title }, make("h2", {}, title), ...children);
}

const problem = (error) => make("p", { className: "muted" }, `${capital(error.message)}${error.hint ? `: ${error.hint}` : ""}.`);

function propertiesPart(material) {
  const rows = material.values.map(({ quantity, unit, value }) => [`${capital(quantity)}${unit ? `, ${unit}` : ""}`, shown(value)]);
  const body = [["Dataset", material.dataset], ["Id", material.material_id], ...rows].map(([name, value]) =>
    make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, value)),
  );
  return section("Properties", make("table", {}, make("caption", { className: "unseen" }, "Properties"), make("tbody", {}, ...body)));
}

function shown(value) {
  if (value === null) return "–";
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : short(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  return Array.isArray(value) ? value.join(", ") : typeof value === "object" ? JSON.stringify(value) : value;
}

/** Wait for a part in its place, so that a slow one holds up none of the others. */
function later(title, load) {
  const place = section(title, make("p", { className: "muted busy" }, "Loading…"));
  load()
    .then((children) => place.replaceChildren(make("h2", {}, title), ...children))
    .catch((error) => {
      if (error.name !== "AbortError") place.replaceChildren(make("h2", {}, title), problem(error));
    });
  return place;
}

function inputOf(material, kind) {
  if (kind === "structures" && material.structure === null) throw new Error("it is a composition, and this needs a crystal");
  return kind === "structures" ? { structures: [material.structure] } : { formulas: [material.formula] };
}

function predictionPart(material, signal) {
  const head = served.head;
  return later(`Predicted ${head.quantity}`, async () => {
    const body = { head: head.head, ...inputOf(material, head.input) };
    if (head.columns.length) {
      const own = Object.fromEntries(material.values.map(({ name, value }) => [name, [value]]));
      const typed = columnValues();
      body.columns = Object.fromEntries(head.columns.map(({ name }) => [name, own[name] ?? typed[name]]));
    }
    const answer = await send("/v1/predict", body, signal);
    if (answer.failed.length) throw new Error(answer.failed[0].reason);
    const [{ value, lower, upper, ood_score: score, warnings, label_set: set }] = answer.predictions;
    const unit = isYesNo(head) ? "probability of yes" : head.unit;
    const interval = isYesNo(head) ? set : lower === null ? "" : `${valueWords(lower, head)} to ${valueWords(upper, head)}`;
    const [kind, word] = score === null ? ["", "not known"] : placeOf(score);
    return [
      make("p", {}, make("strong", {}, valueWords(value, head)), ` ${unit}${interval ? `; ${interval}` : ""}`),
      make("p", {}, "Distance to the training materials: ", make("span", { className: kind }, score === null ? word : `${word} (${score.toFixed(2)})`)),
      ...(warnings.length ? [make("p", { className: "warnings" }, `Low confidence: ${warnings.join("; ")}.`)] : []),
    ];
  });
}

function neighboursPart(material, signal) {
  const layers = served.layers.filter(({ input }) => material.structure !== null || input !== "crystal");
  const layer = layers.find(({ feature }) => served.head.features.includes(feature)) ?? layers[0];
  return later("Similar materials", async () => {
    if (!layer) throw new Error("nothing is embedded that could be compared");
    const named = { dataset: material.dataset, material_id: material.material_id };
    const answer = await send("/v1/search", { encoder: layer.feature, materials: [named], k: NEIGHBOURS }, signal);
    if (answer.failed.length) throw new Error(answer.failed[0].reason);
    const items = answer.results[0].neighbours.map((neighbour) =>
      make(
        "li",
        {},
        make("button", { type: "button", className: "link", onclick: () => openMaterial(neighbour) }, ...formulaNodes(neighbour.formula)),
        ` ${short(neighbour.distance)}, ${neighbour.dataset}: ${neighbour.material_id}`,
      ),
    );
    return [make("ol", { className: "notes" }, ...items), make("p", { className: "muted" }, `Distances between embeddings of ${layer.feature}.`)];
  });
}

function crystalPart(material, signal) {
  const plot = make("div", { className: "plot", role: "img", "aria-label": "Crystal structure in three dimensions" });
  const legend = make("ul", { className: "legend" });
  const words = make("p", { className: "muted" });
  const place = section("Crystal", plot, legend, words);
  send("/v1/crystal", { structure: material.structure }, signal)
    .then((crystal) => showCrystal(crystal, { plot, legend, words }))
    .catch((error) => {
      if (error.name !== "AbortError") plot.replaceWith(problem(error));
    });
  return place;
}

export function startMaterial() {
  find("material-close").addEventListener("click", () => find("material-dialog").close());
  find("material-dialog").addEventListener("close", () => running?.abort());
}
