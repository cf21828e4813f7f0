// The page: starts its tabs once the server has said what it has.

import { useKey } from "./api.js";
import { startBatch } from "./batch_tab.js";
import { startDatasets } from "./datasets.js";
import { startDrops } from "./files.js";
import { startMap } from "./map_tab.js";
import { startMaterial } from "./material.js";
import { startPredict } from "./predict.js";
import { explain, hideProblem, say, startProblem } from "./problem.js";
import { startReport } from "./report.js";
import { chooseHead, loadServed } from "./served.js";
import { startSimilar } from "./similar.js";
import { openTab, startTabs } from "./tabs.js";
import { find } from "./text.js";

async function start() {
  say("Loading…", true);
  hideProblem();
  try {
    await loadServed();
    startDatasets();
    startSimilar();
    openTab(location.hash.slice(1) || "predict", true);
    find("key-form").hidden = true;
    say("");
  } catch (error) {
    say("");
    explain(error, "The page cannot start", start);
  }
}

startProblem();
startTabs();
startDrops();
startPredict();
startBatch();
startMap();
startReport();
startMaterial();
find("head").addEventListener("change", () => chooseHead(find("head").value));
find("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(find("key").value.trim());
  start();
});
openTab("predict", true);
start();
