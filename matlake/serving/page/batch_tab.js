// The tab that predicts for a list, a table, or many structures.

import { predictAll } from "./batch.js";
import { columnValues } from "./columns.js";
import { dropZone } from "./files.js";
import { explain, hideProblem, say, showProblem } from "./problem.js";
import { showResults, startResults } from "./results.js";
import { served, whenHeadChanges } from "./served.js";
import { readNumber, readTable } from "./table_reader.js";
import { count, countOf, find, labelled, make } from "./text.js";

const MOST_ROWS = 100_000; // a browser holds as many without trouble
const LARGEST_TABLE = 200e6; // bytes
const TABLES = /\.(csv|tsv|txt|dat)$/i;
const OTHER_TABLES = /\.(xlsx?|ods|parquet|feather|arrow|pkl|sqlite|db|zip|gz)$/i;

const state = { table: null, structures: [], items: [], running: null };

/** Take what is typed, or was dropped, as items to predict for. */
function readItems(head) {
  if (state.structures.length) {
    const columns = fieldValues(head);
    return state.structures.map(({ name, text, reason }, place) => ({ row: place + 1, name, structure: text, columns, reason }));
  }
  const table = state.table ?? readTable(find("list").value);
  const chosen = (name, otherwise) => (find(`column-${name}`) ? Number(find(`column-${name}`).value) : otherwise);
  const formula = chosen("formula", table.formula);
  const structure = head.input === "structures" ? chosen("structure", table.structure) : -1;
  const width = table.names.length || 1;
  const typed = fieldValues(head);
  return table.rows.map(({ cells }, place) => {
    const item = { row: place + 1, name: table.id >= 0 ? cells[table.id] : undefined, columns: {} };
    if (structure >= 0) item.structure = cells[structure] ?? "";
    else item.formula = (cells[formula] ?? "").trim();
    for (const { name } of head.columns) {
      const column = table.names.indexOf(name);
      item.columns[name] = column >= 0 ? readNumber(cells[column] ?? "") : typed[name];
    }
    if (width > 1 && cells.length !== width) item.reason = `the row has ${countOf(cells.length, "cell")}, the header ${width}`;
    else if (head.input === "structures" && structure < 0) item.reason = "this head needs crystal structures, not formulas";
    return item;
  });
}

const fieldValues = (head) => (head.columns.length ? Object.fromEntries(Object.entries(columnValues()).map(([name, [value]]) => [name, value])) : {});

async function run(event) {
  event?.preventDefault();
  const head = served.head;
  hideProblem();
  if (event) state.items = readItems(head);
  const { items } = state;
  if (!items.length) return showProblem("Nothing to predict", "There is no row.", "Paste formulas, or drop a table or structures.");
  if (items.length > MOST_ROWS) {
    return showProblem("Too many rows", `${count(items.length)} rows, and this page takes ${count(MOST_ROWS)}.`, `Use \`matlake predict ${head.head} --input FILE\`.`);
  }
  const running = new AbortController();
  state.running = running;
  show(true);
  const started = performance.now();
  let announced = -1;
  const progress = () => {
    const done = items.filter((item) => item.prediction || item.reason !== undefined).length;
    find("table-bar").value = done / items.length;
    find("table-count").textContent = `${count(done)} of ${count(items.length)}`;
    const tenth = Math.floor((10 * done) / items.length);
    if (tenth !== announced) say(`Predicting: ${count(done)} of ${count(items.length)} done`, true);
    announced = tenth;
  };
  progress();
  try {
    await predictAll(items, head, served.limits, running.signal, progress);
    finish(head, `in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  } catch (error) {
    finish(head, "so far");
    explain(error, "The table is not finished", () => run(null)); // what is there stays
  }
}

/** Show what there is. */
function finish(head, when) {
  const failed = state.items.filter((item) => item.reason !== undefined).length;
  const done = state.items.filter((item) => item.prediction).length;
  state.running = null;
  show(false);
  const words = `${count(done)} predicted, ${count(failed)} failed, ${when}`;
  const left = state.items.length - done - failed;
  showResults(state.items, head, left ? `${words}; ${count(left)} left` : words);
  say(words);
}

function show(isRunning) {
  find("table-progress").hidden = !isRunning;
  find("table-stop").hidden = !isRunning;
  find("table-run").disabled = isRunning;
}

/** Offer the columns of a table: which one holds the formulas. */
function showChoice() {
  const table = state.table ?? (find("list").value.trim() ? readTable(find("list").value) : null);
  const needsCrystals = served.head.input === "structures";
  const hasChoice = table !== null && table.names.length > 1 && !state.structures.length;
  find("table-choice").hidden = !hasChoice;
  find("table-choice").replaceChildren();
  if (!hasChoice) return;
  const name = needsCrystals ? "structure" : "formula";
  const choice = make("select", { id: `column-${name}` }, ...table.names.map((column, place) => make("option", { value: place }, column)));
  choice.value = String(Math.max(0, needsCrystals ? table.structure : table.formula));
  const missing = served.head.columns.filter((column) => !table.names.includes(column.name));
  const words = missing.map((column) => `${labelled(column)}: the number on the tab “Predict” (the table has no column ${column.name})`);
  find("table-choice").append(
    make("div", {}, make("label", { for: `column-${name}` }, needsCrystals ? "Column with structures" : "Column with formulas"), choice),
    ...words.map((text) => make("p", { className: "muted" }, text)),
  );
}

async function readFiles(files) {
  hideProblem();
  const tables = files.filter((file) => TABLES.test(file.name));
  const other = files.find((file) => OTHER_TABLES.test(file.name));
  if (other) return showProblem("Not a text file", `${other.name} cannot be read here.`, "Save it as CSV, or use `matlake predict HEAD --input FILE`.");
  if (tables.length && files.length > 1) return showProblem("Several files", "A table comes alone.", "Drop one table, or structures.");
  if (files.length > MOST_ROWS) return showProblem("Too many files", `${count(files.length)} files.`, `Drop ${count(MOST_ROWS)} at most.`);
  if (tables.length) {
    if (files[0].size > LARGEST_TABLE) return showProblem("A large table", `${files[0].name} has ${count(Math.round(files[0].size / 1e6))} MB.`, "Use `matlake predict HEAD --input FILE`.");
    state.table = readTable(await files[0].text());
    state.structures = [];
    given(`${files[0].name}: ${countOf(state.table.rows.length, "row")}`);
  } else {
    say("Reading files…", true);
    state.structures = [];
    for (const file of files) {
      if (file.size > served.limits.body_bytes / 2) state.structures.push({ name: file.name, text: "", reason: `the file has ${count(file.size)} bytes` });
      else state.structures.push({ name: file.name, text: await file.text() });
    }
    state.table = null;
    say("");
    given(countOf(files.length, "structure file"));
  }
  showChoice();
}

function given(words) {
  find("table-given").textContent = words;
  find("list").value = "";
  find("table-clear").hidden = words === "";
}

function clear() {
  state.running?.abort();
  Object.assign(state, { table: null, structures: [], items: [] });
  given("");
  find("table-results").hidden = true;
  showChoice();
  find("list").focus();
}

function showHead(head) {
  state.running?.abort();
  const needsCrystals = head.input === "structures";
  find("table-about").textContent = `${labelled(head)}, by head “${head.head}”. Large tables are sent in portions of what the server takes.`;
  find("table-paste").hidden = find("table-or").hidden = needsCrystals;
  document.querySelector("#panel-table .inputs").classList.toggle("only-crystals", needsCrystals);
  find("table-kinds").textContent = needsCrystals ? "CIF, POSCAR or pymatgen JSON; or a CSV with a column “structure”" : "CSV or TSV; CIF, POSCAR or pymatgen JSON";
  find("table-results").hidden = true;
  showChoice();
}

export function startBatch() {
  whenHeadChanges(showHead);
  startResults();
  find("table-form").addEventListener("submit", run);
  find("table-stop").addEventListener("click", () => state.running?.abort());
  find("table-clear").addEventListener("click", clear);
  find("list").addEventListener("input", () => {
    state.table = null;
    state.structures = [];
    find("table-given").textContent = "";
    find("table-clear").hidden = find("list").value === "";
    showChoice();
  });
  dropZone("table", find("table-drop"), find("table-files"), readFiles);
}
