// Conditions on columns of a dataset: a row of fields each, which the server makes SQL of.

import { find, labelled, make, short } from "./text.js";

const WORDS = {
  "=": "is", "!=": "is not", "<": "<", "<=": "≤", ">": ">", ">=": "≥",
  "has all": "has all of", "has any": "has any of", "has none": "has none of", "has only": "has only",
};

let columns = [];

/** Begin anew with the columns of a dataset. */
export function startConditions(given) {
  columns = given;
  find("conditions").replaceChildren();
}

/** Add a row of fields for a condition. */
export function addCondition(focus = true) {
  const row = make("fieldset", { className: "condition" }, make("legend", { className: "unseen" }, "Condition"));
  const column = make("select", { "aria-label": "Column", onchange: () => fill(row) }, ...columns.map((one) => make("option", { value: one.name }, labelled(one))));
  const preferred = columns.find(({ name, kind }) => kind === "number" && !["nelements", "nsites"].includes(name)) ?? columns[0];
  column.value = preferred.name;
  const remove = make("button", { type: "button", className: "second", onclick: () => removeRow(row) }, "Remove");
  row.append(column, make("select", { "aria-label": "Operator", onchange: () => showValue(row) }), make("div", { className: "given" }), remove);
  find("conditions").append(row);
  fill(row);
  if (focus) column.focus();
}

function removeRow(row) {
  row.remove();
  find("add-condition").focus();
}

const parts = (row) => ({ column: row.children[1], operator: row.children[2], given: row.children[3] });
const columnOf = (row) => columns.find(({ name }) => name === parts(row).column.value);

/** Offer the operators of a column. */
function fill(row) {
  const { operator } = parts(row);
  const column = columnOf(row);
  operator.replaceChildren(...column.operators.map((name) => make("option", { value: name }, WORDS[name] ?? name)));
  if (column.kind === "number") operator.value = ">=";
  showValue(row);
}

/** Make the field for the value, with the unit and the range of the column. */
function showValue(row) {
  const { operator, given } = parts(row);
  const column = columnOf(row);
  if (operator.value.startsWith("is missing") || operator.value.startsWith("is present")) return given.replaceChildren();
  const label = `Value${column.unit ? ` in ${column.unit}` : ""}`;
  if (column.kind === "yes/no") {
    const choice = make("select", { "aria-label": label }, make("option", { value: "true" }, "yes"), make("option", { value: "false" }, "no"));
    return given.replaceChildren(choice);
  }
  const options = { "aria-label": label, required: true };
  const range = typeof column.minimum === "number" ? `${short(column.minimum)} to ${short(column.maximum)}` : "";
  const field =
    column.kind === "number"
      ? make("input", { ...options, type: "number", step: "any", placeholder: range })
      : make("input", { ...options, type: "text", placeholder: { words: "Ga, N", time: "2026-01-31" }[column.kind] ?? "" });
  given.replaceChildren(field, ...(column.unit ? [make("span", { className: "muted" }, column.unit)] : []));
}

/** Return the conditions as the server takes them. */
export function conditions() {
  return [...find("conditions").children].map((row) => {
    const { column, operator, given } = parts(row);
    const condition = { column: column.value, operator: operator.value };
    const field = given.querySelector("input, select");
    if (field) condition.value = read(field, columnOf(row).kind);
    return condition;
  });
}

function read(field, kind) {
  if (kind === "number") return field.valueAsNumber;
  if (kind === "yes/no") return field.value === "true";
  if (kind === "words") return field.value.split(/[\s,;]+/).filter(Boolean);
  return field.value;
}
