// The tab with all that is known of a head: errors beside baselines, plots, data, features, licences, intervals.

import { imageAddress, send } from "./api.js";
import { explain, say } from "./problem.js";
import { served, whenHeadChanges } from "./served.js";
import { isOpen, whenOpened } from "./tabs.js";
import { capital, count, find, make, shape } from "./text.js";

const LONG = 24; // letters of a word that may be broken anywhere

let drawn = null;

async function show() {
  const head = served.head;
  if (!head || !isOpen("report") || drawn === head.head) return;
  const path = `/v1/heads/${encodeURIComponent(head.head)}`;
  say("Loading the report…", true);
  try {
    const report = await send(`${path}/report`);
    const titles = make("section", { className: "card" }, make("h1", {}, capital(report.title)));
    const sections = report.sections.map((section) => {
      const parts = section.parts.map((part) => makePart(part, section.heading, path));
      const extra = section.heading.startsWith("Intervals") && report.coverage ? [coverageDrawing(report.coverage)] : [];
      return make("section", { className: "card", "aria-label": section.heading }, make("h2", { className: "strong" }, section.heading), ...extra, ...parts);
    });
    find("report").replaceChildren(titles, ...sections);
    drawn = head.head;
    say("");
  } catch (error) {
    say("");
    explain(error, "No report", show);
  }
}

function makePart(part, heading, path) {
  if (part.kind === "code") return make("pre", { tabIndex: 0 }, part.text);
  if (part.kind === "table") return makeReportTable(part, heading);
  if (part.kind === "plot") return makeFigure(part, path);
  return make("p", {}, part.text);
}

function makeReportTable({ columns, rows }, heading) {
  const classOf = (text, column) => (column.align === "right" ? "number" : text.split(/\s/).some((word) => word.length > LONG) || text.length > 60 ? "long" : "");
  const head = make("tr", {}, ...columns.map((column) => make("th", { scope: "col", className: column.align === "right" ? "number" : "" }, column.heading)));
  const body = rows.map((row) => make("tr", {}, ...row.map((text, place) => make("td", { className: classOf(text, columns[place]) }, text))));
  const table = make("table", {}, make("caption", { className: "unseen" }, heading), make("thead", {}, head), make("tbody", {}, ...body));
  return make("div", { className: "scroll", role: "region", "aria-label": heading, tabIndex: 0 }, table);
}

function makeFigure({ name, caption }, path) {
  const image = make("img", { alt: caption, loading: "lazy" });
  imageAddress(`${path}/plots/${encodeURIComponent(name)}`)
    .then((address) => {
      image.src = address;
    })
    .catch(() => image.replaceWith(make("p", { className: "muted" }, "This plot could not be loaded.")));
  return make("figure", {}, image, make("figcaption", {}, caption));
}

/** Draw which share of values the intervals hold, beside the share that they state. */
function coverageDrawing({ level, shares }) {
  const step = 44;
  const width = 620;
  const height = 30 + step * shares.length;
  const x = (share) => 10 + share * (width - 80);
  const words = shares.map(({ of, share }) => `${of} ${Math.round(100 * share)} %`).join(", ");
  const drawing = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" }, shape("title", {}, `Shares of values in their interval: ${words}`));
  shares.forEach(({ of, share, rows }, place) => {
    const y = 22 + step * place;
    drawing.append(
      shape("text", { x: 10, y: y + 8, class: "muted-words" }, rows === null ? of : `${of} (${count(rows)} rows)`),
      shape("rect", { x: 10, y: y + 14, width: Math.max(1, x(share) - 10), height: 14, class: share < level - 0.05 ? "far-fill" : "near-fill" }),
      shape("text", { x: x(share) + 6, y: y + 26, class: "muted-words" }, `${Math.round(100 * share)} %`),
    );
  });
  drawing.append(
    shape("line", { x1: x(level), x2: x(level), y1: 18, y2: height, class: "ink-line", "stroke-width": 2, "stroke-dasharray": "5 4" }),
    shape("text", { x: x(level), y: 13, "text-anchor": "middle", class: "muted-words" }, `stated ${Math.round(100 * level)} %`),
  );
  return make("div", { className: "coverage" }, drawing);
}

export function startReport() {
  whenOpened("report", show);
  whenHeadChanges(show);
}
