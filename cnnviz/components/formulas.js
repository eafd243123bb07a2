// Formulas in MathML.

const mi = (name) => `<mi>${name}</mi>`;
const mn = (value) => `${value < 0 ? "<mo form='prefix'>−</mo>" : ""}<mn>${compact(Math.abs(value)).replace("≈", "")}</mn>`;
const sub = (name, index) => `<msub>${mi(name)}<mrow>${index}</mrow></msub>`;
const sigma = (index) => `<munder><mo movablelimits="false">∑</mo>${mi(index)}</munder>`;
const equation = (left, right) => `<math displaystyle="true"><mrow>${left}<mo>=</mo>${right}</mrow></math>`;
const signed = (value, at) => `${at > 0 || value < 0 ? `<mo>${value < 0 ? "−" : "+"}</mo>` : ""}${mn(Math.abs(value))}`;

// An equation whose right side is a sum, in lines of five terms: a longer one would run off the page.
function sumEquation(left, terms, rest) {
  const lines = range(Math.max(1, Math.ceil(terms.length / 5))).map((at) => terms.slice(5 * at, 5 * at + 5).join(""));
  lines.push(lines.pop() + rest);
  return [equation(left, lines[0]), ...lines.slice(1).map((line) => `<math displaystyle="true"><mrow><mspace width="2.5em"></mspace>${line}</mrow></math>`)];
}

// = where every number is shown to its last digit, else ≈.
const equals = (...values) => `<mo>${values.every((value) => Math.fround(compact(value).replace("−", "-")) === Math.fround(value)) ? "=" : "≈"}</mo>`;

function activated(activation, pre, output) {
  if (activation === "linear") return [];
  return [equation(mi("a"), `<mtext>${ACTIVATIONS[activation].title}</mtext><mo>(</mo>${mn(pre)}<mo>)</mo>${activation === "relu" ? "<mo>=</mo>" : equals(pre, output)}${mn(output)}`)];
}

// (k·k·c + 1)·f of a convolution, (n + 1)·u of a dense layer, with its numbers.
function parametersFormula(kind, numbers, count) {
  const general = kind === "conv" ? "(k·k·c + 1)·f" : "(n + 1)·u";
  return [`<math displaystyle="true"><mtext>${general}</mtext></math>`, `<math displaystyle="true"><mrow><mtext>${numbers}</mtext><mo>=</mo><mn>${count.toLocaleString("en")}</mn></mrow></math>`];
}

// ⌊(n + p − d(k − 1) − 1) / s⌋ + 1 of an axis, with its numbers; pooling has no dilation d.
function sizeFormula(axis, kind) {
  const dilation = (d) => (kind === "pool" ? "" : `${d}<mo>·</mo>`);
  const text = (n, p, d, k, s) => `<mrow><mo>⌊</mo><mfrac><mrow>${n}<mo>+</mo>${p}<mo>−</mo>${dilation(d)}<mo>(</mo>${k}<mo>−</mo><mn>1</mn><mo>)</mo><mo>−</mo><mn>1</mn></mrow>${s}</mfrac><mo>⌋</mo></mrow><mo>+</mo><mn>1</mn>`;
  const numbers = [axis.n, axis.total, axis.d, axis.k, axis.s].map((value) => mn(value));
  return [`<math displaystyle="true"><mrow>${text(...["n", "p", "d", "k", "s"].map(mi))}</mrow></math>`, `<math displaystyle="true"><mrow>${text(...numbers)}<mo>=</mo>${mn(axis.out)}</mrow></math>`];
}
