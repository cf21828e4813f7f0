// The tab that finds similar materials of the lake: near a formula, a structure, or a material by its id.

import { send } from "./api.js";
import { materialLink } from "./answer.js";
import { dropZone } from "./files.js";
import { openMaterial } from "./material.js";
import { explain, hideProblem, say, showProblem } from "./problem.js";
import { datasetOptions, served } from "./served.js";
import { offerTab } from "./tabs.js";
import { makeTable } from "./table.js";
import { countOf, find, make, short } from "./text.js";

const state = { structure: null, running: null };

function makePanel() {
  const field = (id, label, control) => make("div", {}, make("label", { for: id }, label), control);
  const layers = served.layers.map(({ feature, vectors, external }) =>
    make("option", { value: feature }, `${feature} (${countOf(vectors, "vector")}${external ? ", by id only" : ""})`),
  );
  const kinds = [["formula", "a formula"], ["structure", "a crystal structure"], ["id", "a material by its id"]];
  return make(
    "section",
    { className: "card", "aria-labelledby": "similar-title" },
    make("h1", { id: "similar-title" }, "Similar materials"),
    make("p", { className: "muted" }, "Materials of the lake whose embeddings are nearest."),
    make(
      "form",
      { id: "similar-form", autocomplete: "off", onsubmit: search },
      make(
        "div",
        { className: "fields" },
        field("similar-layer", "Encoder", make("select", { id: "similar-layer", onchange: showFields }, ...layers)),
        field("similar-kind", "Near to", make("select", { id: "similar-kind", onchange: showFields }, ...kinds.map(([value, text]) => make("option", { value }, text)))),
        make(
          "div",
          { id: "similar-by-formula" },
          make("label", { for: "similar-formula" }, "Formula"),
          make("input", { id: "similar-formula", type: "text", placeholder: "GaN", spellcheck: false }),
        ),
        make(
          "div",
          { id: "similar-by-id", className: "fields" },
          field("similar-id", "Id", make("input", { id: "similar-id", type: "text", spellcheck: false })),
          field("similar-home", "of the dataset", make("select", { id: "similar-home" }, ...datasetOptions("any"))),
        ),
        field("similar-k", "How many", make("input", { id: "similar-k", type: "number", min: 1, max: served.limits.neighbours, value: 10 })),
        field("similar-among", "Among", make("select", { id: "similar-among" }, ...datasetOptions("all datasets"))),
      ),
      make(
        "div",
        { id: "similar-drop", className: "drop" },
        make("p", {}, make("strong", {}, "Drop a crystal structure here")),
        make(
          "p",
          { className: "muted" },
          "CIF, POSCAR or pymatgen JSON, or ",
          make("label", { className: "link", for: "similar-file" }, "choose a file"),
          make("input", { id: "similar-file", className: "unseen", type: "file" }),
        ),
        make("p", { id: "similar-given", className: "muted", "aria-live": "polite" }),
      ),
      make("div", { className: "line buttons" }, make("button", { type: "submit" }, "Search")),
    ),
  );
}

/** Show the fields of what is searched for. */
function showFields() {
  const layer = served.layers.find(({ feature }) => feature === find("similar-layer").value);
  for (const option of find("similar-kind").options) {
    option.disabled = (layer.external && option.value !== "id") || (layer.input === "crystal" && option.value === "formula");
  }
  if (find("similar-kind").selectedOptions[0]?.disabled) find("similar-kind").value = layer.external ? "id" : "structure";
  const kind = find("similar-kind").value;
  find("similar-by-formula").hidden = kind !== "formula";
  find("similar-drop").hidden = kind !== "structure";
  find("similar-by-id").hidden = kind !== "id";
}

function question() {
  const kind = find("similar-kind").value;
  if (kind === "formula") return { formulas: [find("similar-formula").value.trim()] };
  if (kind === "structure") return state.structure === null ? null : { structures: [state.structure] };
  const home = find("similar-home").value;
  return { materials: [{ material_id: find("similar-id").value.trim(), ...(home ? { dataset: home } : {}) }] };
}

async function search(event) {
  event?.preventDefault();
  hideProblem();
  const asked = question();
  if (asked === null) return showProblem("Nothing to search for", "There is no structure yet.", "Drop a CIF or POSCAR file, or choose one.");
  state.running?.abort();
  const running = new AbortController();
  state.running = running;
  const among = find("similar-among").value;
  const body = { encoder: find("similar-layer").value, k: find("similar-k").valueAsNumber || 10, ...asked, ...(among ? { dataset: among } : {}) };
  say("Searching…", true);
  try {
    const answer = await send("/v1/search", body, running.signal);
    if (answer.failed.length) showProblem("Nothing found", answer.failed[0].reason, "Check what you entered, then try again.");
    else showNeighbours(answer.results[0], body.encoder);
    say(answer.failed.length ? "" : countOf(answer.results[0].neighbours.length, "material") + " found");
  } catch (error) {
    if (error.name === "AbortError") return;
    say("");
    explain(error, "No search", () => search(null));
  }
}

function showNeighbours({ input, neighbours }, feature) {
  const table = makeTable({
    caption: `Materials nearest to ${input ?? "the structure"} by ${feature}, nearest first`,
    columns: [{ title: "Material" }, { title: "Distance", number: true }, { title: "Dataset" }, { title: "Id" }],
    rows: neighbours.map((one) => [materialLink(one, openMaterial), short(one.distance), one.dataset, one.material_id]),
  });
  find("similar-results").replaceChildren(make("section", { className: "card", "aria-label": "Similar materials" }, table));
}

async function readFile([file]) {
  if (!file) return;
  find("similar-kind").value = "structure";
  showFields();
  state.structure = await file.text();
  find("similar-given").textContent = file.name;
  await search(null);
}

/** Offer the tab, where something is embedded that can be searched. */
export function startSimilar() {
  if (!served.layers.length || find("similar-form")) return;
  find("panel-similar").replaceChildren(makePanel(), make("div", { id: "similar-results" }));
  const own = served.layers.find(({ feature }) => served.heads[0].features.includes(feature));
  if (own) find("similar-layer").value = own.feature;
  showFields();
  dropZone("similar", find("similar-drop"), find("similar-file"), readFile);
  offerTab("similar");
}
