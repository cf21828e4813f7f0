// Predictions for many materials, in portions that the server takes.

import { Gone, Refusal, send } from "./api.js";

const FORMULAS = 250; // of a portion: progress is seen, and others get their turn
const STRUCTURES = 16;
const BODY_SHARE = 0.9; // of the largest body
const PATIENCE = 60; // tries while the server is busy
const TOO_LARGE = [413, 422];

/**
 * Predict for all items that have no result yet, and put one on each: `prediction`, or `reason` why there is none.
 *
 * An item has `formula` or `structure`, and `columns`, the numbers beside it. `progress` is called after each portion.
 * Errors that are no item's fault, such as a server that has stopped, are thrown: what is there stays, and a further call
 * goes on from it.
 */
export async function predictAll(items, head, limits, signal, progress) {
  const kind = items.some((item) => item.structure !== undefined) ? "structures" : "formulas";
  const most = Math.min(limits.rows, kind === "structures" ? STRUCTURES : FORMULAS);
  const waiting = portions(items.filter((item) => !item.prediction && item.reason === undefined), most, kind, limits);
  while (waiting.length) {
    const portion = waiting.shift();
    try {
      await predictPortion(portion, kind, head, signal);
    } catch (error) {
      if (!(error instanceof Refusal && TOO_LARGE.includes(error.status))) throw error;
      if (portion.length === 1) portion[0].reason = `${error.message}${error.hint ? `; ${error.hint}` : ""}`;
      else waiting.unshift(portion.slice(0, portion.length >> 1), portion.slice(portion.length >> 1)); // too many atoms
    }
    progress();
  }
}

/** Divide items such that no request has too many rows or bytes. */
function portions(items, most, kind, limits) {
  const found = [];
  let size = Infinity;
  for (const item of items) {
    const own = 8 + 2 * (item[kind.slice(0, -1)] ?? "").length;
    if (size + own > BODY_SHARE * limits.body_bytes || found.at(-1)?.length >= most) {
      found.push([]);
      size = 0;
    }
    found.at(-1).push(item);
    size += own;
  }
  return found;
}

async function predictPortion(items, kind, head, signal) {
  const body = { head: head.head, [kind]: items.map((item) => item.formula ?? item.structure) };
  if (head.columns.length) {
    body.columns = Object.fromEntries(head.columns.map(({ name }) => [name, items.map((item) => item.columns[name] ?? null)]));
  }
  const answer = await patiently(() => send("/v1/predict", body, signal), signal);
  for (const { row, reason } of answer.failed) items[row].reason = reason;
  const answered = items.filter((item) => item.reason === undefined);
  if (answered.length !== answer.predictions.length) throw new Gone("an answer has rows too few or too many");
  answered.forEach((item, row) => {
    item.prediction = answer.predictions[row];
  });
}

/** Try again while the server is busy. */
async function patiently(ask, signal) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof Refusal) || error.retryAfter === null || tries >= PATIENCE) throw error;
      await pause(1000 * error.retryAfter, signal);
    }
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(new DOMException("stopped", "AbortError"));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal.addEventListener("abort", stop, { once: true });
  });
}
