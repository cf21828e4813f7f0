// Tabs, as the ARIA practices have them: arrow keys, Home and End go from one to the next, and the address names the one
// that is open, so that links and the browser's buttons lead to it.

import { find } from "./text.js";

const openers = new Map();
let current = "";

const tabs = () => [...find("tabs").querySelectorAll('[role="tab"]')];
const nameOf = (tab) => tab.id.replace("tab-", "");

/** Call a function whenever a tab is opened. */
export function whenOpened(name, opener) {
  openers.set(name, opener);
}

/** Whether a tab is open. */
export const isOpen = (name) => current === name;

/** Open a tab; `quietly` leaves the address as it is. */
export function openTab(name, quietly = false) {
  const shown = tabs().filter((tab) => !tab.hidden);
  const chosen = shown.find((tab) => nameOf(tab) === name) ?? shown[0];
  for (const tab of tabs()) {
    const selected = tab === chosen;
    tab.setAttribute("aria-selected", String(selected));
    tab.tabIndex = selected ? 0 : -1;
    find(tab.getAttribute("aria-controls")).hidden = !selected;
  }
  const changed = current !== nameOf(chosen);
  current = nameOf(chosen);
  if (!quietly && location.hash !== `#${current}`) history.pushState(null, "", `#${current}`);
  chosen.scrollIntoView({ block: "nearest", inline: "nearest" });
  if (!changed) return;
  window.dispatchEvent(new Event("resize")); // drawings of this tab have not seen what the window did meanwhile
  openers.get(current)?.();
}

/** Show a tab that only some servers have. */
export function offerTab(name) {
  find(`tab-${name}`).hidden = false;
}

export function startTabs() {
  find("tabs").addEventListener("click", (event) => {
    const tab = event.target.closest('[role="tab"]');
    if (tab) openTab(nameOf(tab));
  });
  find("tabs").addEventListener("keydown", (event) => {
    const shown = tabs().filter((tab) => !tab.hidden);
    const at = shown.indexOf(event.target);
    const steps = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: shown.length - 1 };
    if (at < 0 || !(event.key in steps)) return;
    event.preventDefault();
    const next = shown[(steps[event.key] + shown.length) % shown.length];
    openTab(nameOf(next));
    next.focus();
  });
  const follow = () => {
    const name = location.hash.slice(1);
    if (name === "" || find(`tab-${name}`)) openTab(name || "predict", true);
  };
  window.addEventListener("hashchange", follow);
  window.addEventListener("popstate", follow);
}
