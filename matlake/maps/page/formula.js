// Formulas: which of them a text means, and how they are written.

const TOKEN = /([A-Z][a-z]?)|([([{])|([)\]}])|(\d+(?:\.\d+)?)/y;
const SUBSCRIPTS = "₀₁₂₃₄₅₆₇₈₉";
const SYSTEM = /^[A-Z][a-z]?(-[A-Z][a-z]?)+$/;

/** Return the amounts of the elements in a formula as a Map, or null where the text is none. */
export function parseFormula(text) {
  const plain = [...text.trim()].map((sign) => (SUBSCRIPTS.includes(sign) ? SUBSCRIPTS.indexOf(sign) : sign)).join("").replace(/\s+/g, "");
  const stack = [new Map()];
  let last = null; // what a number behind it multiplies
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < plain.length) {
    const match = TOKEN.exec(plain);
    if (match === null) return null;
    const [, element, opens, closes, number] = match;
    if (number !== undefined && last === null) return null;
    if (last !== null) add(stack.at(-1), last, number === undefined ? 1 : Number(number));
    last = null;
    if (element) last = new Map([[element, 1]]);
    else if (opens) stack.push(new Map());
    else if (closes) {
      if (stack.length === 1) return null;
      last = stack.pop();
    }
  }
  if (last !== null) add(stack.at(-1), last, 1);
  return stack.length === 1 && stack[0].size > 0 ? stack[0] : null;
}

function add(into, amounts, times) {
  for (const [element, amount] of amounts) into.set(element, (into.get(element) ?? 0) + times * amount);
}

/** Return a text that is the same for formulas of the same composition: O4Ti2 and TiO2. */
export function compositionKey(text) {
  const amounts = parseFormula(text);
  if (amounts === null) return null;
  const total = [...amounts.values()].reduce((sum, amount) => sum + amount, 0);
  return [...amounts].sort().map(([element, amount]) => `${element}${(amount / total).toFixed(5)}`).join(" ");
}

/** Return which rows a search means: a composition, a chemical system such as Li-Fe-O, or a part of a formula or an id. */
export function searchRows(query, formulas, ids) {
  const text = query.trim();
  const found = (fits) => formulas.flatMap((formula, row) => (fits(formula, row) ? [row] : []));
  // most formulas lack one of the elements, which is seen much faster than a formula is read
  const foundWith = (elements, fits) => found((formula) => elements.every((element) => formula.includes(element)) && fits(formula));
  if (text === "") return [];
  if (SYSTEM.test(text)) {
    const elements = [...new Set(text.split("-"))].sort();
    const rows = foundWith(elements, (formula) => [...(parseFormula(formula)?.keys() ?? [])].sort().join(" ") === elements.join(" "));
    if (rows.length > 0) return rows;
  }
  const key = compositionKey(text);
  const same = key === null ? [] : foundWith([...parseFormula(text).keys()], (formula) => compositionKey(formula) === key);
  if (same.length > 0) return same;
  const part = text.toLowerCase();
  return found((formula, row) => formula.toLowerCase().includes(part) || ids[row].toLowerCase().includes(part));
}

/** Return a formula as nodes with the numbers below the line; any text is only text. */
export function formulaNodes(formula) {
  return formula.split(/(?<=[A-Za-z)\]])(\d+(?:\.\d+)?)/).map((part, place) => {
    if (place % 2 === 0) return document.createTextNode(part);
    const sub = document.createElement("sub");
    sub.textContent = part;
    return sub;
  });
}
