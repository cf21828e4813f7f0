// The tab that predicts for one formula or one structure.

import { send, Refusal } from "./api.js";
import { showNearest, showTrust, showValue } from "./answer.js";
import { columnValues, showColumns } from "./columns.js";
import { dropZone } from "./files.js";
import { showCrystal, whenThemeChanges } from "./drawing.js";
import { openMaterial } from "./material.js";
import { explain, hideProblem, say, showProblem } from "./problem.js";
import { hasLake, mapOf, served, whenHeadChanges } from "./served.js";
import { count, find, isYesNo } from "./text.js";

const LARGEST_FILE = 8e6; // bytes; the server has a limit of its own
const RUTILE =
  "rutile TiO2\n1.0\n4.594 0 0\n0 4.594 0\n0 0 2.959\nTi O\n2 4\ndirect\n0 0 0\n0.5 0.5 0.5\n" +
  "0.305 0.305 0\n0.695 0.695 0\n0.195 0.805 0.5\n0.805 0.195 0.5\n";

const state = { material: null, running: null, crystal: null };

/** The last prediction, for the map; null where there is none of the head that is chosen. */
export let shownPrediction = null;

/** Predict for a formula or a structure and show the answer; a newer input replaces an older one. */
async function predict(material) {
  state.material = material;
  state.running?.abort();
  const running = new AbortController();
  state.running = running;
  const head = served.head;
  hideProblem();
  if (material.structure !== undefined) find("formula").value = "";
  find("answer").classList.add("stale");
  find("predict").disabled = true;
  say("Predicting…", true);
  try {
    const inputs = material.formula === undefined ? { structures: [material.structure] } : { formulas: [material.formula] };
    if (head.columns.length) inputs.columns = columnValues();
    const [answer, map] = await Promise.all([
      send("/v1/predict", { head: head.head, coordinates: true, ...inputs }, running.signal),
      mapOf(head),
    ]);
    if (answer.failed.length) throw new Refusal(200, answer.failed[0].reason, "Check what you entered, then try again.");
    const crystal =
      material.structure === undefined ? null : await send("/v1/crystal", { structure: material.structure }, running.signal);
    if (state.running !== running) return;
    const [prediction] = answer.predictions;
    find("answer").hidden = false; // first: drawings are as wide as there is room
    find("answer").classList.remove("stale");
    shownPrediction = prediction;
    showValue(prediction, head, map?.histogram);
    showTrust(prediction, head, answer);
    showNearest(prediction.nearest, head, hasLake() ? openMaterial : null);
    find("to-map").hidden = !map;
    state.crystal = crystal;
    await drawCrystal();
  } catch (error) {
    if (error.name === "AbortError") return;
    find("answer").hidden = true;
    shownPrediction = null;
    explain(error, "No prediction", () => predict(material));
  } finally {
    if (state.running === running) {
      find("predict").disabled = false;
      say("");
    }
  }
}

async function drawCrystal() {
  find("crystal-card").hidden = state.crystal === null;
  if (state.crystal === null) return;
  await showCrystal(state.crystal, { plot: find("crystal"), legend: find("legend"), words: find("crystal-words") });
}

function showHead(head) {
  const needsCrystals = head.input === "structures";
  find("title").textContent = isYesNo(head) ? `Predict ${head.quantity}: yes or no` : `Predict the ${head.quantity} of a material`;
  const error = head.metrics.mae;
  const others = `on ${count(head.n_test)} others (split: ${head.split}).`;
  find("about").textContent =
    `Head “${head.head}” learned from ${count(head.n_train)} materials` +
    (isYesNo(head)
      ? ` and had a Brier score of ${head.metrics.brier.toPrecision(2)} ${others}`
      : typeof error === "number" ? ` and was off by ${error.toPrecision(2)} ${head.unit} on average ${others}` : ".");
  showColumns(head.columns, () => state.material && predict(state.material));
  find("form").hidden = find("or").hidden = needsCrystals;
  document.querySelector("#panel-predict .inputs").classList.toggle("only-crystals", needsCrystals);
  find("answer").hidden = true;
  state.running?.abort();
  state.material = null;
  shownPrediction = null;
  hideProblem();
}

async function readFile(files) {
  const [file] = files;
  if (!file) return;
  if (files.length > 1) {
    showProblem("No prediction", `${count(files.length)} files were dropped.`, "The tab “Table” takes several at once.");
  } else if (file.size > LARGEST_FILE) {
    showProblem("No prediction", `${file.name} has ${(file.size / 1e6).toFixed(0)} MB.`, "A file of one crystal is much smaller.");
  } else {
    await predict({ structure: await file.text() });
  }
}

export function startPredict() {
  whenHeadChanges(showHead);
  whenThemeChanges(() => drawCrystal());
  find("form").addEventListener("submit", (event) => {
    event.preventDefault();
    const formula = find("formula").value.trim();
    if (formula && served.head) predict({ formula });
  });
  for (const button of document.querySelectorAll("[data-formula]")) {
    button.addEventListener("click", () => {
      find("formula").value = button.dataset.formula;
      find("form").requestSubmit();
    });
  }
  find("rutile").addEventListener("click", () => predict({ structure: RUTILE }));
  dropZone("predict", find("drop"), find("file"), readFile);
}
