// The tab that looks through the datasets of the lake: a form, and the SQL that it stands for.

import { Refusal, send } from "./api.js";
import { addCondition, conditions, startConditions } from "./conditions.js";
import { csvText, saveFile } from "./files.js";
import { formulaNodes } from "./formula.js";
import { openMaterial } from "./material.js";
import { explain, hideProblem, say } from "./problem.js";
import { datasetOptions, hasLake, served } from "./served.js";
import { makePager, makeTable, replaceKeepingFocus } from "./table.js";
import { offerTab, whenOpened } from "./tabs.js";
import { count, countOf, find, labelled, make, short } from "./text.js";

const PAGE = 50;
const PORTION = 5000; // rows of a request of the download
const MOST_SAVED = 200_000;
const FIRST = 8; // columns that are shown at first
const LONG = 60; // letters of a cell that may be broken
const LONGEST = 300; // letters of a cell; the material and the download have all

const state = { columns: [], asked: null, page: 0, total: 0, running: null };

function makePanel() {
  return make(
    "div",
    {},
    make(
      "section",
      { className: "card", "aria-labelledby": "datasets-title" },
      make("h1", { id: "datasets-title" }, "Datasets of the lake"),
      make(
        "form",
        { id: "rows-form", autocomplete: "off", onsubmit: submit },
        make(
          "div",
          { className: "fields" },
          make("div", {}, make("label", { for: "dataset" }, "Dataset"), make("select", { id: "dataset", onchange: chooseDataset }, ...datasetOptions())),
          make("div", {}, make("label", { for: "sort-by" }, "Sorted by"), make("select", { id: "sort-by" })),
          make("div", {}, make("label", { for: "sort-order" }, "Order"), make("select", { id: "sort-order" }, make("option", { value: "up" }, "smallest first"), make("option", { value: "down" }, "largest first"))),
        ),
        make("p", { id: "dataset-about", className: "muted" }),
        make("div", { id: "conditions" }),
        make("button", { id: "add-condition", type: "button", className: "second", onclick: () => addCondition() }, "Add a condition"),
        make("details", {}, make("summary", {}, "Columns"), make("fieldset", { id: "column-checks", className: "checks" })),
        make("div", { className: "line buttons" }, make("button", { id: "show-rows", type: "submit" }, "Show"), make("button", { id: "save-rows", type: "button", className: "second", onclick: save }, "Download CSV")),
      ),
    ),
    make("section", { id: "rows-card", className: "card", "aria-label": "Rows", hidden: true }, make("div", { id: "rows" }), make("h2", { id: "sql-title" }, "The same in SQL"), make("pre", { id: "sql-shown", tabIndex: 0, "aria-labelledby": "sql-title" }), make("button", { type: "button", className: "second", onclick: editSql }, "Edit this SQL")),
    make(
      "section",
      { className: "card", "aria-labelledby": "sql-box-title" },
      make("h2", { id: "sql-box-title", className: "strong" }, "SQL"),
      make("form", { onsubmit: runSql }, make("label", { for: "sql" }, `Read-only; ${served.queryLimits.seconds} s and ${count(served.queryLimits.rows)} rows at most`), make("textarea", { id: "sql", rows: 5, spellcheck: false, placeholder: "SELECT nelements, count(*) FROM materials GROUP BY 1 ORDER BY 1" }), make("div", { className: "line buttons" }, make("button", { id: "run-sql", type: "submit" }, "Run"))),
      make("div", { id: "sql-rows" }),
    ),
  );
}

/** Read the columns of the dataset that is chosen, and show its first rows. */
async function chooseDataset() {
  const name = find("dataset").value;
  hideProblem();
  try {
    const { columns } = await send(`/v1/datasets/${encodeURIComponent(name)}`);
    if (find("dataset").value !== name) return;
    state.columns = columns;
    startConditions(columns);
    find("sort-by").replaceChildren(...columns.filter(({ kind }) => kind !== "words").map((one) => make("option", { value: one.name }, labelled(one))));
    find("column-checks").replaceChildren(make("legend", { className: "unseen" }, "Columns that are shown"), ...columns.map(columnCheck));
    find("dataset-about").replaceChildren(...aboutDataset(served.datasets.find((one) => one.name === name)));
    await ask();
  } catch (error) {
    explain(error, "No dataset", chooseDataset);
  }
}

function columnCheck(column, place) {
  const check = make("input", { type: "checkbox", value: column.name, checked: place < FIRST });
  return make("label", {}, check, labelled(column));
}

function aboutDataset({ name, materials, crystals, failures, source, version, licence }) {
  const words = [countOf(materials, "material"), `${countOf(crystals, "crystal")} among them`, source && `from ${source}`, version && `version ${version}`, licence && `licence ${licence}`];
  const text = `${words.filter(Boolean).join("; ")}. `;
  if (!failures) return [text];
  const statement = `SELECT source_row, formula, stage, encoder, reason FROM failures\nWHERE dataset = '${name.replaceAll("'", "''")}'`;
  const link = make("button", { type: "button", className: "link", onclick: () => showSql(statement) }, `${countOf(failures, "row")} of the source could not be read`);
  return [text, link, "."];
}

function submit(event) {
  event.preventDefault();
  ask();
}

/** Ask for what the form says, from its first page. */
async function ask() {
  const columns = [...find("column-checks").querySelectorAll("input:checked")].map((check) => check.value);
  state.asked = {
    dataset: find("dataset").value,
    columns: columns.length ? columns : ["material_id", "formula"],
    where: conditions(),
    sort: [{ column: find("sort-by").value, descending: find("sort-order").value === "down" }],
  };
  return showPage(0);
}

/** Show a page of what was asked for last; returns whether that worked. */
async function showPage(page) {
  const { asked } = state;
  state.running?.abort();
  const running = new AbortController();
  state.running = running;
  hideProblem();
  say("Looking…", true);
  try {
    // the id and the formula lead to the material, whether they are shown or not
    const columns = [...new Set([...asked.columns, "material_id", "formula"])];
    const answer = await send("/v1/rows", { ...asked, columns, limit: PAGE, offset: page * PAGE, count: page === 0 }, running.signal);
    state.page = page;
    if (page === 0) state.total = answer.total;
    showRows(answer);
    say(`${countOf(state.total, "row")} found`);
    return true;
  } catch (error) {
    if (error.name === "AbortError") return false;
    say("");
    explain(error, "No rows", () => showPage(page));
    return false;
  }
}

function showRows(answer) {
  const { asked } = state;
  const [sorted] = asked.sort;
  const columns = asked.columns.map((name) => {
    const column = state.columns.find((one) => one.name === name);
    const place = answer.columns.indexOf(name);
    return { name, title: labelled(column), number: column.kind === "number", long: answer.rows.some((row) => shown(row[place]).length > LONG) };
  });
  const table = makeTable({
    caption: `${asked.dataset}: ${countOf(state.total, "row")}; press a heading to sort`,
    columns,
    rows: answer.rows.map((row) => rowCells(row, answer.columns, asked)),
    sorted: sorted ? { name: sorted.column, descending: sorted.descending } : null,
    sort: sortBy,
  });
  find("rows-card").hidden = false;
  replaceKeepingFocus(find("rows"), table, makePager({ page: state.page, size: PAGE, total: state.total, open: showPage }));
  find("sql-shown").textContent = answer.sql;
}

function rowCells(row, names, asked) {
  const value = (name) => row[names.indexOf(name)];
  const material = { dataset: asked.dataset, material_id: value("material_id"), formula: value("formula") };
  return asked.columns.map((name) => {
    const text = cut(shown(value(name)));
    if (name !== "formula" && !(name === "material_id" && !asked.columns.includes("formula"))) return text;
    const content = name === "formula" ? formulaNodes(text) : [text];
    return make("button", { type: "button", className: "link", onclick: () => openMaterial(material) }, ...content);
  });
}

function shown(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : short(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  return Array.isArray(value) ? value.join(" ") : typeof value === "object" ? JSON.stringify(value) : value;
}

const cut = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text);

function sortBy(name) {
  const { kind } = state.columns.find((one) => one.name === name);
  if (kind === "words") return;
  const [before] = state.asked.sort;
  const descending = before?.column === name && !before.descending;
  state.asked = { ...state.asked, sort: [{ column: name, descending }] };
  find("sort-by").value = name;
  find("sort-order").value = descending ? "down" : "up";
  showPage(0);
}

/** Save all rows that fulfil the conditions, in portions. */
async function save() {
  if (!(await ask())) return; // which has said why
  const { asked } = state;
  find("save-rows").disabled = true;
  const rows = [asked.columns];
  try {
    const most = Math.min(state.total, MOST_SAVED);
    const limit = Math.min(PORTION, served.queryLimits.rows);
    while (rows.length <= most) {
      const answer = await send("/v1/rows", { ...asked, limit: Math.min(limit, most - rows.length + 1), offset: rows.length - 1, count: false });
      if (!answer.rows.length && answer.truncated) throw new Refusal(422, "a row is larger than an answer may be", "Leave out the column with the long values.");
      if (!answer.rows.length) break; // fewer by now
      rows.push(...answer.rows);
      say(`Downloading: ${count(rows.length - 1)} of ${count(most)}`, true);
    }
    saveFile(`${asked.dataset}.csv`, "text/csv", csvText(rows));
    say(most < state.total ? `Saved the first ${count(most)} of ${count(state.total)} rows; \`matlake datasets export\` writes all` : `Saved ${countOf(rows.length - 1, "row")}`);
  } catch (error) {
    say("");
    explain(error, "No download", save);
  } finally {
    find("save-rows").disabled = false;
  }
}

function editSql() {
  find("sql").value = find("sql-shown").textContent;
  find("sql").focus();
}

function showSql(statement) {
  find("sql").value = statement;
  runSql();
}

async function runSql(event) {
  event?.preventDefault();
  const statement = find("sql").value.trim();
  if (!statement) return;
  hideProblem();
  find("run-sql").disabled = true;
  say("Running…", true);
  try {
    const answer = await send("/v1/sql", { statement });
    const isNumber = (place) => answer.rows.some((row) => typeof row[place] === "number");
    const table = makeTable({
      caption: answer.truncated ? `The first ${countOf(answer.rows.length, "row")}` : countOf(answer.rows.length, "row"),
      columns: answer.columns.map((title, place) => ({ title, number: isNumber(place), long: !isNumber(place) && answer.rows.some((row) => String(row[place]).length > LONG) })),
      rows: answer.rows.map((row) => row.map((value) => cut(shown(value)))),
    });
    find("sql-rows").replaceChildren(table);
    say(countOf(answer.rows.length, "row"));
  } catch (error) {
    say("");
    explain(error, "The query failed", () => runSql());
  } finally {
    find("run-sql").disabled = false;
  }
}

/** Offer the tab, where the server has datasets. */
export function startDatasets() {
  if (!hasLake() || find("rows-form")) return;
  find("panel-datasets").replaceChildren(makePanel());
  whenOpened("datasets", () => state.asked ?? chooseDataset());
  offerTab("datasets");
}
