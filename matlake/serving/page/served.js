// What the server has: heads, limits, and the datasets of its lake. One head is chosen for all tabs.

import { send } from "./api.js";
import { find, make } from "./text.js";

export const served = { heads: [], limits: {}, head: null, datasets: [], layers: [], queryLimits: {} };

const listeners = [];
const maps = new Map();

/** Call a function whenever another head is chosen. */
export function whenHeadChanges(listener) {
  listeners.push(listener);
}

/** Ask the server what it has. */
export async function loadServed() {
  const answer = await send("/v1/heads");
  const lake = await send("/v1/datasets");
  Object.assign(served, { heads: answer.heads, limits: answer.limits });
  Object.assign(served, { datasets: lake.datasets, layers: lake.layers, queryLimits: lake.limits });
  find("head").replaceChildren(
    ...served.heads.map((head) => new Option(head.head === head.quantity ? head.head : `${head.quantity} (${head.head})`, head.head)),
  );
  find("head-choice").hidden = served.heads.length < 2;
  chooseHead(served.heads[0].head);
}

export function chooseHead(name) {
  served.head = served.heads.find((head) => head.head === name) ?? served.heads[0];
  for (const listener of listeners) listener(served.head);
}

/** Return the map of a head's training materials, null where it has none. */
export async function mapOf(head) {
  if (!head.map) return null;
  if (!maps.has(head.head)) maps.set(head.head, await send(`/v1/heads/${encodeURIComponent(head.head)}/map`));
  return maps.get(head.head);
}

/** Whether the server answers for the datasets of its lake. */
export const hasLake = () => served.datasets.length > 0;

/** Fill a choice of datasets. */
export function datasetOptions(first = null) {
  const options = served.datasets.map(({ name }) => make("option", { value: name }, name));
  return first === null ? options : [make("option", { value: "" }, first), ...options];
}
