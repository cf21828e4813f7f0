// Tables whose columns sort, page by page.

import { count, make } from "./text.js";

/**
 * Make a table.
 *
 * `columns` are `{title, name, number, long, sortable}`; `rows` arrays of cells, each a text, an element or an array of
 * both. `sorted` is `{name, descending}` or null, and `sort` is called with the name of a column whose heading is pressed.
 */
export function makeTable({ caption, columns, rows, sorted = null, sort = null }) {
  const headings = columns.map((column) => {
    const heading = make("th", { scope: "col", className: column.number ? "number" : "" });
    if (sort && column.sortable !== false) {
      const isSorted = sorted?.name === column.name;
      heading.setAttribute("aria-sort", isSorted ? (sorted.descending ? "descending" : "ascending") : "none");
      heading.append(make("button", { type: "button", className: "sort", onclick: () => sort(column.name) }, column.title));
    } else heading.append(column.title);
    return heading;
  });
  const body = rows.map((row) =>
    make(
      "tr",
      {},
      ...row.map((cell, place) => {
        const { number, long } = columns[place];
        return make("td", { className: number ? "number" : long ? "cell long" : "cell" }, ...[cell].flat());
      }),
    ),
  );
  const table = make(
    "table",
    {},
    make("caption", {}, caption),
    make("thead", {}, make("tr", {}, ...headings)),
    make("tbody", {}, ...body),
  );
  return make("div", { className: "scroll", role: "region", "aria-label": caption, tabIndex: 0 }, table);
}

/** Make buttons for the pages of a table; `open` is called with the number of a page, from 0. */
export function makePager({ page, size, total, open }) {
  const last = Math.max(0, Math.ceil(total / size) - 1);
  if (last === 0) return make("div", {});
  const button = (text, to, disabled) => make("button", { type: "button", className: "second", disabled, onclick: () => open(to) }, text);
  const from = page * size + 1;
  return make(
    "nav",
    { className: "pager", "aria-label": "Pages of the table" },
    button("First", 0, page === 0),
    button("Previous", page - 1, page === 0),
    make("span", { role: "status" }, `${count(from)} to ${count(Math.min(total, from + size - 1))} of ${count(total)}`),
    button("Next", page + 1, page === last),
    button("Last", last, page === last),
  );
}

/** Keep the focus on the control that was used, though the table around it is made anew. */
export function replaceKeepingFocus(element, ...children) {
  const active = element.contains(document.activeElement) ? document.activeElement : null;
  const same = active?.tagName === "BUTTON" ? active.textContent : null;
  element.replaceChildren(...children);
  if (active === null) return;
  const found = [...element.querySelectorAll("button")].find((button) => button.textContent === same && !button.disabled);
  (found ?? element.querySelector("[tabindex], button:not(:disabled)"))?.focus();
}
