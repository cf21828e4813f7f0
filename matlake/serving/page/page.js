// The page: reads the input and shows the answer.

import { Gone, Refusal, send, useKey } from "./api.js";
import { capital, isYesNo, short, showNearest, showTrust, showValue } from "./answer.js";
import { drawCrystal, drawMap } from "./plots.js";

const LARGEST_FILE = 8e6; // bytes; the server has a limit of its own
const RUTILE =
  "rutile TiO2\n1.0\n4.594 0 0\n0 4.594 0\n0 0 2.959\nTi O\n2 4\ndirect\n0 0 0\n0.5 0.5 0.5\n" +
  "0.305 0.305 0\n0.695 0.695 0\n0.195 0.805 0.5\n0.805 0.195 0.5\n";

const find = (id) => document.getElementById(id);

const state = { heads: [], head: null, maps: new Map(), material: null, running: null };

function say(text, busy = false) {
  find("status").textContent = text;
  find("status").classList.toggle("busy", busy);
}

function showProblem(title, reason, hint, again) {
  find("problem-title").textContent = title;
  find("problem-reason").textContent = reason;
  find("problem-hint").textContent = hint ?? "";
  find("again").hidden = !again;
  find("problem").hidden = false;
}

function explain(error, title) {
  if (error instanceof Gone) {
    showProblem("The server does not answer", "It may have been stopped, or the network is down.", "Start it again, then try again.", true);
  } else if (error instanceof Refusal && error.status === 401) {
    find("key-form").hidden = false;
    find("key").focus();
    showProblem("An API key is needed", error.message, "Whoever runs this server has it.", false);
  } else if (error instanceof Refusal) {
    showProblem(title, error.message, error.hint, error.status >= 500);
  } else {
    showProblem("This page has a fault", String(error), "Reload it; if that does not help, report it.", false);
    throw error;
  }
}

/** Predict for a formula or a structure and show the answer; a newer input replaces an older one. */
async function predict(material) {
  state.material = material;
  state.running?.abort();
  const running = new AbortController();
  state.running = running;
  const head = state.head;
  find("problem").hidden = true;
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
    showValue(prediction, head, map?.histogram);
    showTrust(prediction, head, answer);
    showNearest(prediction.nearest, head);
    await drawCrystal(crystal);
    if (map) await drawMap(map, head, prediction);
  } catch (error) {
    if (error.name === "AbortError") return;
    find("answer").hidden = true;
    explain(error, "No prediction");
    if (state.maps.has(head.head)) await drawMap(state.maps.get(head.head), head, null);
  } finally {
    if (state.running === running) {
      find("predict").disabled = false;
      say("");
    }
  }
}

/** Make a field for the number of each column that the head takes. */
function showColumns(columns) {
  const typed = new Map([...find("columns").querySelectorAll("input")].map((field) => [field.name, field.value]));
  const fields = columns.map(({ name, quantity, unit, minimum, maximum }) => {
    const label = document.createElement("label");
    const field = document.createElement("input");
    Object.assign(field, { type: "number", step: "any", name, value: typed.get(name) ?? "" });
    field.setAttribute("form", "form"); // Enter predicts
    field.addEventListener("change", () => {
      if (state.material) predict(state.material);
    });
    label.append(`${capital(quantity)}${unit && `, ${unit}`} (${short(minimum)} to ${short(maximum)} in training)`, field);
    return label;
  });
  find("columns").replaceChildren(...fields);
  find("columns").hidden = !columns.length;
}

/** Return what the fields of the columns hold: a number for all materials, null where there is none. */
function columnValues() {
  const fields = [...find("columns").querySelectorAll("input")];
  return Object.fromEntries(fields.map((field) => [field.name, [field.value === "" ? null : field.valueAsNumber]]));
}

async function mapOf(head) {
  if (!head.map) return null;
  if (!state.maps.has(head.head)) state.maps.set(head.head, await send(`/v1/heads/${encodeURIComponent(head.head)}/map`));
  return state.maps.get(head.head);
}

async function chooseHead(name) {
  const head = state.heads.find((one) => one.head === name) ?? state.heads[0];
  state.head = head;
  const needsCrystals = head.input === "structures";
  find("title").textContent = isYesNo(head) ? `Predict ${head.quantity}: yes or no` : `Predict the ${head.quantity} of a material`;
  const error = head.metrics.mae;
  find("about").textContent =
    `Head “${head.head}” learned from ${head.n_train.toLocaleString("en")} materials` +
    (isYesNo(head)
      ? ` and had a Brier score of ${head.metrics.brier.toPrecision(2)} on ${head.n_test.toLocaleString("en")} others (split: ${head.split}).`
      : typeof error === "number" ? ` and was off by ${error.toPrecision(2)} ${head.unit} on average on ${head.n_test.toLocaleString("en")} others (split: ${head.split}).` : ".");
  showColumns(head.columns);
  find("form").hidden = find("or").hidden = needsCrystals;
  document.querySelector(".inputs").classList.toggle("only-crystals", needsCrystals);
  find("answer").hidden = find("problem").hidden = find("map-card").hidden = true;
  const map = await mapOf(head);
  if (map && state.head === head) await drawMap(map, head, null);
}

async function readFile(file) {
  if (!file) return;
  if (file.size > LARGEST_FILE) {
    showProblem("No prediction", `${file.name} has ${(file.size / 1e6).toFixed(0)} MB.`, "A file of one crystal is much smaller.", false);
    return;
  }
  await predict({ structure: await file.text() });
}

async function start() {
  say("Loading…", true);
  find("problem").hidden = true;
  try {
    state.heads = (await send("/v1/heads")).heads;
    find("head").replaceChildren(...state.heads.map((head) => new Option(head.head === head.quantity ? head.head : `${head.quantity} (${head.head})`, head.head)));
    find("head-choice").hidden = state.heads.length < 2;
    await chooseHead(state.heads[0].head);
    find("key-form").hidden = true;
  } catch (error) {
    explain(error, "The page cannot start");
  } finally {
    say("");
  }
}

find("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const formula = find("formula").value.trim();
  if (formula && state.head) predict({ formula });
});
for (const button of document.querySelectorAll("[data-formula]")) {
  button.addEventListener("click", () => {
    find("formula").value = button.dataset.formula;
    find("form").requestSubmit();
  });
}
find("rutile").addEventListener("click", () => predict({ structure: RUTILE }));
find("head").addEventListener("change", () => chooseHead(find("head").value).catch((error) => explain(error, "No map")));
find("file").addEventListener("change", async () => {
  await readFile(find("file").files[0]);
  find("file").value = "";
});
find("again").addEventListener("click", () => (state.material && state.head ? predict(state.material) : start()));
find("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(find("key").value.trim());
  start();
});
const drop = find("drop");
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  drop.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drop.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  readFile(event.dataTransfer.files[0]);
});

start();
