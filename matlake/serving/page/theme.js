// Light or dark: as the system has it, or as its user has chosen. Runs before the page is drawn, so it is no module.

"use strict";

(() => {
  const NAMES = { auto: "as the system", light: "light", dark: "dark" };
  const ORDER = Object.keys(NAMES);

  let chosen = "auto";
  try {
    chosen = localStorage.getItem("matlake-theme") ?? "auto";
  } catch {
    // a browser that keeps nothing: as the system has it
  }

  function apply() {
    if (!ORDER.includes(chosen)) chosen = "auto";
    if (chosen === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
    const button = document.getElementById("theme");
    if (button) button.textContent = `Theme: ${NAMES[chosen]}`;
    document.dispatchEvent(new Event("matlake-theme")); // drawings have colours of their own
  }

  apply();
  document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", () => {
      chosen = ORDER[(ORDER.indexOf(chosen) + 1) % ORDER.length];
      try {
        localStorage.setItem("matlake-theme", chosen);
      } catch {
        // it holds until the page is loaded again
      }
      apply();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
    apply();
  });
})();
