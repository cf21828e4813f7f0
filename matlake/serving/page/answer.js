// The answer for one material in words and small drawings.

import { formulaNodes } from "./formula.js";
import { capital, digitsFor, find, isYesNo, make, measuredWords, shape, short, valueWords, written } from "./text.js";

const MOST_SHOWN = 3; // of the score's scale
const SAME = 1e-3; // distance of what the encoder sees as one and the same
const WIDEST = 560; // of a drawing

/** Show value and interval, and where they are among the training values. */
export function showValue(prediction, head, histogram) {
  const { value, lower, upper } = prediction;
  const bounded = lower !== null && upper !== null;
  const digits = isYesNo(head) ? 2 : digitsFor(head.metrics.mae);
  find("quantity").textContent = capital(head.quantity);
  const values = head.columns.map(({ name, quantity, unit }) => `, ${quantity} ${short(prediction.columns[name])} ${unit}`.trimEnd());
  find("material").replaceChildren(...formulaNodes(prediction.input), ...values);
  find("value").textContent = valueWords(value, head);
  find("unit").textContent = isYesNo(head) ? "probability of yes" : head.unit;
  [find("interval").textContent, find("interval-words").textContent] = isYesNo(head)
    ? setWords(prediction, head)
    : intervalWords(bounded, `${written(lower ?? value, digits)} and ${written(upper ?? value, digits)} ${head.unit}`, head);
  const [same] = prediction.nearest;
  find("known").hidden = !(same?.distance < SAME);
  find("known").textContent =
    same && `${head.input === "formulas" ? "This composition" : "This crystal"}${head.columns.length ? " with these values" : ""} is in the training set: ${measuredWords(same.value, head)}.`;
  find("range").replaceChildren(...(histogram ? [rangeDrawing(prediction, head, histogram)] : []));
}

function intervalWords(bounded, ends, head) {
  if (!bounded) return ["no interval: this head was trained before heads had them", ""];
  return [
    `between ${ends}`,
    `Made so that ${shareInWords(head.level)} intervals hold the measured value, over many materials drawn as those in training were. It may miss this one.`,
  ];
}

function setWords({ label, label_set: set }, head) {
  return [
    set === label ? `${label}` : `${label} is more probable; ${set} is possible`,
    `Made so that ${shareInWords(head.level)} materials that are yes keep yes as a possibility, and as many that are no keep no, over many materials drawn as those in training were.`,
  ];
}

/** Say 0.9 as "9 of 10". */
export function shareInWords(share) {
  const tenths = share * 10;
  return Math.abs(tenths - Math.round(tenths)) < 1e-9 ? `${Math.round(tenths)} of 10` : `${Math.round(share * 100)} of 100`;
}

function rangeDrawing({ value, lower, upper }, head, { edges, counts }) {
  const width = Math.min(WIDEST, find("range").clientWidth || WIDEST);
  const base = 84;
  const low = Math.min(edges[0], lower ?? value);
  const high = Math.max(edges.at(-1), upper ?? value);
  const x = (v) => 8 + ((width - 16) * (v - low)) / (high - low || 1);
  const digits = digitsFor((high - low) / 5);
  const most = Math.sqrt(Math.max(...counts));
  const drawing = shape("svg", { viewBox: `0 0 ${width} 116`, role: "img" });
  drawing.append(shape("title", {}, "The prediction among the values of the training materials"));
  counts.forEach((count, bin) => {
    const height = count ? Math.max(1, (64 * Math.sqrt(count)) / most) : 0;
    const left = x(edges[bin]);
    drawing.append(
      shape("rect", { x: left, y: base - height, width: Math.max(0.5, x(edges[bin + 1]) - left - 1), height, class: "bar" }),
    );
  });
  if (lower !== null && upper !== null) {
    const band = { x: x(lower), y: 8, width: Math.max(1, x(upper) - x(lower)), height: base - 8 };
    drawing.append(shape("rect", { ...band, class: "accent", opacity: 0.25 }));
  }
  drawing.append(shape("line", { x1: x(value), x2: x(value), y1: 4, y2: base, class: "accent-line", "stroke-width": 4 }));
  drawing.append(shape("line", { x1: 8, x2: width - 8, y1: base, y2: base, class: "soft-line" }));
  for (const [at, anchor] of [[low, "start"], [high, "end"]]) {
    drawing.append(shape("text", { x: x(at), y: base + 22, "text-anchor": anchor, class: "muted-words" }, written(at, digits)));
  }
  const caption = width < 400 ? "grey: training materials" : `${head.quantity}${head.unit ? `, ${head.unit}` : ""}; grey: training materials`;
  drawing.append(
    shape("text", { x: width / 2, y: base + 22, "text-anchor": "middle", class: "muted-words" }, caption),
  );
  return drawing;
}

/** Classes, titles and words for scores up to 1, up to 2, and above. */
const PLACES = [
  ["like", "Near training materials", "Training materials are near in the space of the features."],
  ["edge", "At the edge of the training set", "Few training materials are near. The interval is wider for that, but less certain to hold."],
  ["outside", "Far from the training set", "No training material is near. Treat the value as a guess."],
];

/** Say where a score lies, as the class of its colour and in a word. */
export function placeOf(score) {
  return [["like", "near"], ["edge", "edge"], ["outside", "far"]][score <= 1 ? 0 : score <= 2 ? 1 : 2];
}

/** Show how far the material is from the training set, and what the test rows say on errors. */
export function showTrust({ ood_score: score, lower, upper, doubts, warnings = doubts }, head, answer) {
  const known = score !== null;
  const ranks = answer.score_ranks_errors === true;
  const doubtful = warnings.length > 0;
  const [kind, title, words] = PLACES[score <= 1 ? 0 : score <= 2 ? 1 : 2];
  let shown = [kind, title];
  if (!known) shown = ["", "Not known"];
  else if (kind === "like" && doubtful) shown = ["edge", "Low confidence"];
  else if (kind === "like" && !ranks && lower !== null) {
    // being near goes with no smaller errors here: the width of the interval says more
    shown = ["", `Interval ${written(upper - lower, digitsFor(head.metrics.mae))} ${head.unit} wide`];
  }
  [find("verdict").className, find("verdict").textContent] = [`verdict ${shown[0]}`, shown[1]];
  find("verdict-words").textContent = known
    ? `${words} Score ${score.toFixed(2)}: 95 of 100 training materials are below 1.`
    : "An older version trained this head, without a score.";
  find("gauge").replaceChildren(...(known && ranks ? [gaugeDrawing(score)] : []));
  find("warnings").hidden = !doubtful;
  find("warnings").textContent = `Low confidence: ${warnings.join("; ")}.`;
  find("error-words").textContent = errorWords(head);
  find("notes").replaceChildren(
    ...answer.notes.map((note) => make("li", {}, `${capital(note)}.`)),
  );
}

/** Say how large errors were on the test rows: nothing is known of the error of this one prediction. */
function errorWords({ kind, metrics, unit, n_test: rows }) {
  if (kind === "yes/no") {
    return `Whether this prediction is right is not known. On ${rows.toLocaleString("en")} test materials the Brier score was ${metrics.brier.toPrecision(2)}: the mean square of what probabilities were off by.`;
  }
  const largest = typeof metrics.q95 === "number" ? `, and by more than ${metrics.q95.toPrecision(2)} ${unit} on one of 20` : "";
  return `The error of this prediction is not known. On ${rows.toLocaleString("en")} test materials the head was off by ${metrics.mae.toPrecision(2)} ${unit} on average${largest}.`;
}

function gaugeDrawing(score) {
  const width = Math.min(WIDEST, find("gauge").clientWidth || WIDEST);
  const x = (v) => 8 + ((width - 16) * Math.min(v, MOST_SHOWN)) / MOST_SHOWN;
  const drawing = shape("svg", { viewBox: `0 0 ${width} 66`, role: "img" });
  drawing.append(shape("title", {}, `Out-of-distribution score ${score.toFixed(2)}`));
  ["near", "edge", "far"].forEach((words, zone) => {
    drawing.append(shape("rect", { x: x(zone), y: 18, width: x(zone + 1) - x(zone) - 2, height: 16, class: `${words}-fill` }));
    const place = { x: (x(zone) + x(zone + 1)) / 2, y: 56, "text-anchor": "middle", class: "muted-words" };
    drawing.append(shape("text", place, words));
  });
  const at = x(score);
  drawing.append(shape("path", { d: `M${at} 20l-8 -14h16z`, class: "ink" }));
  drawing.append(shape("line", { x1: at, x2: at, y1: 18, y2: 34, class: "ink-line", "stroke-width": 3 }));
  return drawing;
}

/** List the nearest training materials; `open` shows one of them, where the lake is served. */
export function showNearest(neighbours, head, open) {
  const known = neighbours.length > 0;
  find("nearest").hidden = find("nearest-note").hidden = !known;
  find("nearest-none").hidden = known;
  find("nearest-value").textContent = `${capital(head.quantity)}${head.unit ? `, ${head.unit}` : ""}`;
  const rows = neighbours.map((neighbour) =>
    make(
      "tr",
      {},
      make("td", {}, materialLink(neighbour, open)),
      make("td", { className: "number" }, isYesNo(head) ? measuredWords(neighbour.value, head) : short(neighbour.value)),
      make("td", { className: "number" }, neighbour.distance.toFixed(2)),
      make("td", {}, `${neighbour.dataset}: ${neighbour.material_id}`),
    ),
  );
  find("nearest").tBodies[0].replaceChildren(...rows);
}

/** Write a material of the lake as a link to it, or as its formula alone where `open` is null. */
export function materialLink(material, open) {
  if (!open) return make("span", {}, ...formulaNodes(material.formula));
  return make("button", { type: "button", className: "link", onclick: () => open(material) }, ...formulaNodes(material.formula));
}
