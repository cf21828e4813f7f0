// What is going on, and what went wrong: one line and one card for the whole page.

import { Gone, Refusal } from "./api.js";
import { find } from "./text.js";

let retry = () => {};

/** Say in a line what is going on. */
export function say(text, busy = false) {
  find("status").textContent = text;
  find("status").classList.toggle("busy", busy);
}

export function hideProblem() {
  find("problem").hidden = true;
}

/** Show what went wrong; `again` is called by a button, where trying again makes sense. */
export function showProblem(title, reason, hint = "", again = null) {
  find("problem-title").textContent = title;
  find("problem-reason").textContent = reason;
  find("problem-hint").textContent = hint;
  retry = again ?? (() => {});
  find("again").hidden = again === null;
  find("problem").hidden = false;
}

/** Show an error of a request; anything else is a fault of the page. */
export function explain(error, title, again = () => location.reload()) {
  if (error.name === "AbortError") return;
  if (error instanceof Gone) {
    showProblem("The server does not answer", "It may have been stopped, or the network is down.", "Start it again, then try again.", again);
  } else if (error instanceof Refusal && error.status === 401) {
    find("key-form").hidden = false;
    find("key").focus();
    showProblem("An API key is needed", error.message, "Whoever runs this server has it.");
  } else if (error instanceof Refusal) {
    showProblem(title, error.message, error.hint, error.status >= 500 ? again : null);
  } else {
    showProblem("This page has a fault", String(error), "Reload it; if that does not help, report it.");
    throw error;
  }
}

/** Listen to the button that tries again. */
export function startProblem() {
  find("again").addEventListener("click", () => retry());
}
