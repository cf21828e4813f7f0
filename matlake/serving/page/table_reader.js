// Lists and tables as text: CSV, TSV, and what is pasted from a spreadsheet.

const FORMULAS = ["formula", "composition", "pretty_formula", "formula_pretty", "reduced_formula", "chemical_formula_reduced"];
const STRUCTURES = ["structure", "poscar", "cif"];
const IDS = ["material_id", "id", "jid", "mat_id", "immutable_id", "entry_id"];
const DELIMITERS = ["\t", ";", "|", ","];
const SAMPLE = 50; // rows that must agree with the first one

const NUMBER = /^\s*[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?\s*$/;
const LIKE_A_FORMULA = /^[([]*[A-Z][a-z]?[A-Za-z0-9.()[\]·*-]*$/;

/**
 * Read a list or a table.
 *
 * Returns `names` of its columns, empty for a list without a header; `rows`, each `{line, cells}`; and which column holds
 * what: `formula`, `structure`, `id` are places, or -1.
 */
export function readTable(text) {
  const clean = text.replace(/^\ufeff/, "");
  const delimiter = findDelimiter(clean);
  let rows = delimiter === null ? lines(clean) : parse(clean, delimiter);
  rows = rows.filter(({ cells }) => cells.some((cell) => cell.trim() !== "") && !cells[0].startsWith("#"));
  if (!rows.length) return { names: [], rows: [], formula: -1, structure: -1, id: -1 };
  if (rows.length === 1 && rows[0].cells.every((cell) => LIKE_A_FORMULA.test(cell.trim()))) {
    rows = rows[0].cells.map((cell) => ({ line: rows[0].line, cells: [cell] })); // GaN, ZnO, TiO2
  }
  const first = rows[0].cells.map((cell) => cell.trim());
  const named = place(first, FORMULAS) >= 0 || place(first, STRUCTURES) >= 0 || place(first, IDS) >= 0;
  const isData = first.some((cell) => NUMBER.test(cell)) || LIKE_A_FORMULA.test(first[0]);
  const hasHeader = named || (first.length > 1 && !isData);
  const names = hasHeader ? first.map((name, column) => name || `column ${column + 1}`) : first.length > 1 ? first.map((_, column) => `column ${column + 1}`) : [];
  const structure = hasHeader ? place(first, STRUCTURES) : -1;
  const id = hasHeader ? place(first, IDS) : -1;
  const formula = hasHeader ? place(first, FORMULAS) : 0;
  return {
    names,
    rows: hasHeader ? rows.slice(1) : rows,
    formula: formula < 0 && structure < 0 ? Math.max(0, first.findIndex((_, column) => column !== id)) : formula,
    structure,
    id,
  };
}

/** Find the first usual name among those of the columns, whatever its capitals. */
function place(names, usual) {
  const lower = names.map((name) => name.toLowerCase());
  for (const name of usual) if (lower.includes(name)) return lower.indexOf(name);
  return -1;
}

function lines(text) {
  return text.split(/\r\n|\n|\r/).map((cell, number) => ({ line: number + 1, cells: [cell] }));
}

/** Return the delimiter that gives most columns while most of the first rows agree; null where none does. */
function findDelimiter(text) {
  let best = null;
  let most = 1;
  for (const delimiter of DELIMITERS) {
    const widths = parse(text, delimiter, SAMPLE).map(({ cells }) => cells.length);
    const same = widths.filter((width) => width === widths[0]).length;
    if (widths[0] > most && 2 * same >= widths.length) [best, most] = [delimiter, widths[0]];
  }
  return best;
}

/** Split text into rows of cells; quotes may enclose delimiters, ends of lines, and quotes that are doubled. */
function parse(text, delimiter, most = Infinity) {
  const rows = [];
  let cells = [];
  let cell = "";
  let line = 1;
  let start = 1;
  let isQuoted = false;
  const end = () => {
    cells.push(cell);
    cell = "";
  };
  for (let at = 0; at < text.length && rows.length < most; at += 1) {
    const letter = text[at];
    if (letter === "\n" || (letter === "\r" && text[at + 1] !== "\n")) line += 1;
    if (isQuoted) {
      if (letter !== '"') cell += letter;
      else if (text[at + 1] === '"') {
        cell += '"';
        at += 1;
      } else isQuoted = false;
    } else if (letter === '"' && cell.trim() === "") {
      cell = "";
      isQuoted = true;
    } else if (letter === delimiter) end();
    else if (letter === "\n" || letter === "\r") {
      if (letter === "\r" && text[at + 1] === "\n") continue;
      end();
      if (cells.length > 1 || cells[0].trim() !== "") rows.push({ line: start, cells });
      cells = [];
      start = line;
    } else cell += letter;
  }
  if (rows.length < most && (cell !== "" || cells.length)) {
    end();
    rows.push({ line: start, cells });
  }
  return rows;
}

/** Read a number of a table; null for anything else. A decimal comma is one where there is no other comma or point. */
export function readNumber(text) {
  if (!NUMBER.test(text)) return null;
  const number = Number(text.trim().replace(",", "."));
  return Number.isFinite(number) ? number : null;
}
