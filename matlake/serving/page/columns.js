// Numbers beside a formula, such as a temperature, that some heads take.

import { find, labelled, make, short } from "./text.js";

/** Make a field for each column of a head; `changed` is called when one gets another number. */
export function showColumns(columns, changed) {
  const typed = new Map([...find("columns").querySelectorAll("input")].map((field) => [field.name, field.value]));
  const fields = columns.map((column) => {
    const { name, minimum, maximum } = column;
    const field = make("input", { type: "number", step: "any", name, value: typed.get(name) ?? "", onchange: changed });
    field.setAttribute("form", "form"); // Enter predicts
    return make("label", {}, `${labelled(column)} (${short(minimum)} to ${short(maximum)} in training)`, field);
  });
  find("columns").replaceChildren(...fields);
  find("columns").hidden = !columns.length;
}

/** Return what the fields hold: a number for each column, null where there is none. */
export function columnValues() {
  const fields = [...find("columns").querySelectorAll("input")];
  return Object.fromEntries(fields.map((field) => [field.name, [field.value === "" ? null : field.valueAsNumber]]));
}
