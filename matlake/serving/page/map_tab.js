// The tab with the map of a head's training materials, and the material that was predicted last on it.

import { plotly, theme, whenThemeChanges } from "./drawing.js";
import { shownPrediction } from "./predict.js";
import { explain } from "./problem.js";
import { drawScatter, plain, someRows } from "./scatter.js";
import { mapOf, served, whenHeadChanges } from "./served.js";
import { isOpen, whenOpened } from "./tabs.js";
import { count, find, isYesNo, measuredWords, short } from "./text.js";

const MOST_POINTS = 3000; // as many as a browser draws without delay

async function draw() {
  const head = served.head;
  if (!head || !isOpen("map")) return; // a drawing is as wide as there is room
  try {
    const map = await mapOf(head);
    if (served.head !== head) return;
    find("map").hidden = map === null;
    if (map === null) find("map-words").textContent = "An older version trained this head, without a reference set.";
    else await drawMap(map, head, shownPrediction);
  } catch (error) {
    explain(error, "No map", draw);
  }
}

async function drawMap(map, head, prediction) {
  const rows = someRows(map.value.length, MOST_POINTS);
  const label = (row) => `${plain(map.formula[row])}: ${measuredWords(map.value[row], head)}`;
  const points = (chosen) => ({ x: chosen.map((row) => map.x[row]), y: chosen.map((row) => map.y[row]), text: chosen.map(label) });
  const places = new Map(map.material_id.map((id, row) => [`${map.dataset[row]}\n${id}`, row]));
  const near = (prediction?.nearest ?? []).map((one) => places.get(`${one.dataset}\n${one.material_id}`)).filter((row) => row !== undefined);
  const has = Boolean(prediction?.coordinates);
  const text = has && (isYesNo(head) ? `yes with probability ${prediction.value.toFixed(2)}` : `${short(prediction.value)} ${head.unit}`);
  find("map-words").textContent =
    `Each dot is a training material${map.value.length > rows.length ? ` (${count(rows.length)} of ${count(map.value.length)})` : ""}, ` +
    `coloured by its ${head.quantity}. Materials that the encoder sees as alike are near each other; one unit is a score of 1.` +
    (has ? " The star is the material that was predicted, rings are the nearest ones; two directions of many are shown." : "");
  const drawn = {
    points: { ...points(rows), value: rows.map((row) => map.value[row]) },
    marked: points(has ? near : []),
    star: has ? { x: prediction.coordinates[0], y: prediction.coordinates[1] ?? 0, label: plain(prediction.input), text } : null,
    words: { value: `${head.quantity}${head.unit ? ` (${head.unit})` : ""}`, x: "widest direction of the embeddings", y: "second widest" },
  };
  await drawScatter(await plotly(), find("map"), drawn, theme());
}

export function startMap() {
  whenOpened("map", draw);
  whenHeadChanges(draw);
  whenThemeChanges(draw);
}
