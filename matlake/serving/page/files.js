// Files that come in, dropped or chosen, and files that go out.

import { isOpen } from "./tabs.js";
import { make } from "./text.js";

const zones = [];

/** Take files that are dropped anywhere while a tab is open, or chosen by its field. */
export function dropZone(tab, zone, field, take) {
  zones.push({ tab, zone, take });
  field.addEventListener("change", async () => {
    const files = [...field.files];
    field.value = ""; // the same file may be chosen again
    await take(files);
  });
}

/** Listen to files over the page. */
export function startDrops() {
  const open = () => zones.find(({ tab }) => isOpen(tab));
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    open()?.zone.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) open()?.zone.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault(); // the browser would leave the page for the file
    open()?.zone.classList.remove("over");
    if (event.dataTransfer.files.length) open()?.take([...event.dataTransfer.files]);
  });
}

/** Let the browser save a text as a file. */
export function saveFile(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = make("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** Write rows as CSV, the first of them being the names of the columns. */
export function csvText(rows) {
  return `${rows.map((row) => row.map(csvCell).join(",")).join("\r\n")}\r\n`;
}

function csvCell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  let text = typeof value === "string" ? value : Array.isArray(value) ? value.join("; ") : JSON.stringify(value);
  if (/^[=+@\t\r-]/.test(text)) text = `'${text}`; // a spreadsheet would run it
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
