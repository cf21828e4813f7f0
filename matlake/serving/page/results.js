// Predictions as a table that sorts, as CSV and as JSON; rows that failed are listed with their reasons.

import { materialLink, placeOf } from "./answer.js";
import { csvText, saveFile } from "./files.js";
import { formulaNodes } from "./formula.js";
import { openMaterial } from "./material.js";
import { hasLake } from "./served.js";
import { makePager, makeTable, replaceKeepingFocus } from "./table.js";
import { capital, count, countOf, find, isYesNo, make, measuredWords, short, valueWords } from "./text.js";

const PAGE = 50;
const MOST_FAILED = 1000; // listed on the page; files have all

const shown = { items: [], head: null, sorted: null, page: 0 };

const warningsOf = ({ prediction: { warnings, doubts } }) => warnings ?? doubts;
const nearestOf = ({ prediction }) => prediction.nearest[0];

/** Return the columns of the table, each with what it sorts by and what it shows. */
function columnsOf(head, items) {
  const unit = isYesNo(head) ? "probability of yes" : head.unit;
  const columns = [
    { title: "Row", name: "row", number: true, key: (item) => item.row, cell: (item) => count(item.row) },
    items.some((item) => item.name !== undefined) && { title: "Id", name: "id", key: (item) => item.name ?? "", cell: (item) => item.name ?? "" },
    { title: "Material", name: "material", key: (item) => item.prediction.input, cell: (item) => formulaNodes(item.prediction.input) },
    ...head.columns.map(({ name, quantity, unit: own }) => ({
      title: `${capital(quantity)}${own ? `, ${own}` : ""}`, name, number: true, key: (item) => item.columns[name], cell: (item) => short(item.columns[name]),
    })),
    {
      title: `${capital(head.quantity)}${unit ? `, ${unit}` : ""}`, name: "value", number: true,
      key: (item) => item.prediction.value, cell: (item) => valueWords(item.prediction.value, head),
    },
    isYesNo(head)
      ? { title: "Possible", name: "set", key: (item) => item.prediction.label_set, cell: (item) => item.prediction.label_set ?? "" }
      : {
          title: "Interval", name: "interval", number: true,
          key: ({ prediction: { lower, upper } }) => (lower === null ? null : upper - lower),
          cell: ({ prediction: { lower, upper } }) => (lower === null ? "" : `${valueWords(lower, head)} to ${valueWords(upper, head)}`),
        },
    { title: "Applicability domain", name: "domain", key: (item) => item.prediction.ood_score, cell: domainCell },
    { title: "Low-confidence reasons", name: "reasons", long: true, key: (item) => warningsOf(item).length, cell: (item) => warningsOf(item).join("; ") },
    { title: "Nearest training material", name: "nearest", key: (item) => nearestOf(item)?.distance ?? null, cell: (item) => nearestCell(item, head) },
  ];
  return columns.filter(Boolean);
}

function domainCell({ prediction: { ood_score: score } }) {
  if (score === null) return "not known";
  const [kind, word] = placeOf(score);
  return make("span", { className: kind }, `${word} (${score.toFixed(2)})`);
}

function nearestCell(item, head) {
  const nearest = nearestOf(item);
  if (!nearest) return "";
  return [materialLink(nearest, hasLake() ? openMaterial : null), `: ${measuredWords(nearest.value, head)}`];
}

/** Show the results of all items that have one. */
export function showResults(items, head, words) {
  Object.assign(shown, { items, head, page: 0 });
  if (!columnsOf(head, items).some(({ name }) => name === shown.sorted?.name)) shown.sorted = null;
  find("table-summary").textContent = words;
  find("table-results").hidden = false;
  drawRows();
  drawFailed();
}

function drawRows() {
  const { items, head, sorted } = shown;
  const columns = columnsOf(head, items);
  const done = items.filter((item) => item.prediction);
  if (sorted) {
    const { key } = columns.find(({ name }) => name === sorted.name);
    done.sort((p, q) => (sorted.descending ? -1 : 1) * compare(key(p), key(q)) || p.row - q.row);
  }
  if (!done.length) return find("table-rows").replaceChildren();
  const some = done.slice(shown.page * PAGE, (shown.page + 1) * PAGE);
  const table = makeTable({
    caption: `Predictions of ${head.quantity}; press a heading to sort`,
    columns,
    rows: some.map((item) => columns.map(({ cell }) => cell(item))),
    sorted,
    sort: (name) => {
      shown.sorted = { name, descending: shown.sorted?.name === name && !shown.sorted.descending };
      shown.page = 0;
      drawRows();
    },
  });
  const pager = makePager({
    page: shown.page, size: PAGE, total: done.length,
    open: (page) => {
      shown.page = page;
      drawRows();
    },
  });
  replaceKeepingFocus(find("table-rows"), table, pager);
}

/** Compare numbers or texts; what is missing is smallest. */
function compare(p, q) {
  if (p === q) return 0;
  if (p === null || p === undefined) return -1;
  if (q === null || q === undefined) return 1;
  return typeof p === "number" ? p - q : String(p).localeCompare(String(q), "en", { numeric: true });
}

function drawFailed() {
  const failed = shown.items.filter((item) => item.reason !== undefined);
  if (!failed.length) return find("table-failed").replaceChildren();
  const table = makeTable({
    caption: failed.length > MOST_FAILED ? `The first ${count(MOST_FAILED)}; the files have all` : "Rows without a prediction",
    columns: [{ title: "Row", number: true }, { title: "Material" }, { title: "Reason", long: true }],
    rows: failed.slice(0, MOST_FAILED).map((item) => [count(item.row), item.name ?? cut(item.formula ?? ""), item.reason]),
  });
  const details = make("details", { open: true }, make("summary", {}, `${countOf(failed.length, "row")} without a prediction`), table);
  find("table-failed").replaceChildren(details);
}

const cut = (text) => (text.length > 60 ? `${text.slice(0, 59)}…` : text);

function saveCsv() {
  const { items, head } = shown;
  const own = head.columns.map(({ name }) => name);
  const labels = isYesNo(head) ? ["label", "label_set"] : [];
  const numbers = ["lower", "upper", "expected_error", "ood_score"];
  const header = [
    ...["row", "id", "input", ...own, "value", ...labels, ...numbers, "unit", "elements_outside_training", "warnings"],
    ...["nearest", "nearest_dataset", "nearest_material_id", "nearest_value", "nearest_distance", "failure"],
  ];
  const rows = items.map((item) => {
    const { prediction } = item;
    const start = [item.row, item.name ?? null, prediction?.input ?? cut(item.formula ?? "")];
    const values = own.map((name) => item.columns[name] ?? null);
    if (!prediction) return [...start, ...values, ...Array(header.length - start.length - own.length - 1).fill(null), item.reason ?? "not predicted"];
    const nearest = nearestOf(item);
    return [
      ...start, ...values, prediction.value, ...labels.map((name) => prediction[name]), ...numbers.map((name) => prediction[name]), head.unit,
      prediction.novelties, warningsOf(item), nearest?.formula, nearest?.dataset, nearest?.material_id, nearest?.value, nearest?.distance, null,
    ];
  });
  saveFile(`${fileName(head)}.csv`, "text/csv", csvText([header, ...rows]));
}

function saveJson() {
  const { items, head } = shown;
  const { head: name, target, unit, kind, level, mae, score_ranks_errors, notes } = head;
  const content = {
    head: name, target, unit, kind, level, mae, score_ranks_errors, notes,
    predictions: items.filter((item) => item.prediction).map((item) => ({ row: item.row, id: item.name ?? null, ...item.prediction })),
    failed: items.filter((item) => !item.prediction).map((item) => ({ row: item.row, id: item.name ?? null, input: item.formula ?? null, reason: item.reason ?? "not predicted" })),
  };
  saveFile(`${fileName(head)}.json`, "application/json", `${JSON.stringify(content, null, 1)}\n`);
}

const fileName = (head) => `predictions-${head.head.replace(/[^\w.-]/g, "-")}`;

export function startResults() {
  find("table-csv").addEventListener("click", saveCsv);
  find("table-json").addEventListener("click", saveJson);
}
