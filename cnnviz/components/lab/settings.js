// What can be chosen in the labs, its bounds, and how the address bar holds it.

const LIMITS = { rows: [1, 12], columns: [1, 12], height: [1, 7], width: [1, 7], stride: [1, 4], dilation: [1, 3], shift: [0, 4], bias: [-5, 5] };
const PADDINGS = { conv: ["valid", "same", "full"], pool: ["valid", "same"] };

// The kernels of the textbooks. Cross-correlated as they stand, as networks do.
const KERNELS = {
  "textbook": [[-1, 0], [0, -1]],
  "identity": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
  "vertical edges": [[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]],
  "horizontal edges": [[-1, -1, -1], [0, 0, 0], [1, 1, 1]],
  "Sobel, vertical": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
  "Sobel, horizontal": [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
  "Laplacian": [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
  "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
  "box blur": Array.from({ length: 3 }, () => [1 / 9, 1 / 9, 1 / 9]),
  "Gaussian": [1, 4, 6, 4, 1].map((a) => [1, 4, 6, 4, 1].map((b) => (a * b) / 256)),
  "emboss": [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]],
};

// A grid of numbers, row by row, with one or more slices that the address separates by |.
const grid = (rows) => ({ rows: rows.length, columns: rows[0].length, slices: [Float32Array.from(rows.flat())] });
const sameGrid = (a, b) => a.rows === b.rows && a.columns === b.columns && a.slices.every((slice, at) => slice.every((value, i) => value === (b.slices[at] ?? b.slices[0])[i]));

function writeGrid({ rows, columns, slices }) {
  const digits = (value) => exact(value).replace("−", "-");
  return slices.map((slice) => range(rows).map((row) => range(columns).map((column) => digits(slice[row * columns + column])).join(",")).join(";")).join("|");
}

// null for what is no grid of numbers within the bounds.
function readGrid(text, most) {
  const slices = text.split("|").map((slice) => slice.split(";").map((row) => row.split(",").map((number) => (/^-?[\d.]+(e-?\d+)?$/i.test(number.trim()) ? Number(number) : NaN))));
  const [rows, columns] = [slices[0].length, slices[0][0].length];
  const good = (slices.length === 1 || slices.length === 3) && rows <= most && columns <= most
    && slices.every((slice) => slice.length === rows && slice.every((row) => row.length === columns && row.every((value) => Math.abs(value) <= 1e6)));
  return good ? { rows, columns, slices: slices.map((slice) => Float32Array.from(slice.flat())) } : null;
}

const START = {
  conv: () => ({ input: "numbers", numbers: grid([[1, 2, 3], [4, 5, 6], [7, 8, 9]]), grey: false, kernel: grid(KERNELS.textbook), stride: 1, padding: "valid", dilation: 1, bias: 0, activation: "linear", flip: false }),
  pool: () => ({ input: "numbers", numbers: grid([[1, 2, 3], [4, 5, 6], [7, 8, 9]]), grey: false, mode: "max", global: false, height: 2, width: 2, stride: 1, padding: "valid", shift: 1, map: 0 }),
};

// The settings that an address names, and a sentence for whatever it names that there is not.
function readSettings(kind, link, pictures) {
  const state = START[kind]();
  const problems = [];
  const refuse = (name) => problems.push(`The link's ${name} makes no sense here and was left out.`);
  if (link.input) {
    const numbers = /[\d.]/.test(link.input[0]) || link.input[0] === "-" ? readGrid(link.input, LIMITS.rows[1]) : null;
    if (numbers && numbers.slices.length === 1) state.numbers = numbers;
    else if (pictures.includes(link.input)) state.input = link.input;
    else if (link.input === "upload") problems.push("The link's picture is not here: upload it below to see the same.");
    else if (link.input === "drawing") problems.push("The link's drawing is not here: draw on the page Draw, and choose your drawing as the input.");
    else refuse("input");
  }
  if (link.kernel && kind === "conv") {
    const kernel = readGrid(link.kernel, LIMITS.height[1]);
    if (kernel) state.kernel = kernel;
    else refuse("kernel");
  }
  for (const name of ["stride", "dilation", "height", "width", "shift", "bias", "map"]) {
    if (link[name] === undefined || state[name] === undefined) continue;
    const [low, high] = LIMITS[name] ?? [0, 2];
    const value = /^-?\d{1,3}(\.\d{1,3})?$/.test(link[name]) ? Number(link[name]) : NaN;
    if (value >= low && value <= high && (name === "bias" || Number.isInteger(value))) state[name] = value;
    else refuse(name);
  }
  for (const [name, known] of [["padding", PADDINGS[kind]], ["activation", Object.keys(ACTIVATIONS)], ["mode", ["max", "average"]]]) {
    if (link[name] === undefined || state[name] === undefined) continue;
    if (known.includes(link[name])) state[name] = link[name];
    else refuse(name);
  }
  for (const name of ["grey", "flip", "global"]) {
    if (link[name] === undefined || !(name in state)) continue;
    if (link[name] === "1") state[name] = true;
    else refuse(name);
  }
  return { state, problems };
}

// The address's parameters: null for what is as it starts.
function writeSettings(kind, state) {
  const start = START[kind]();
  const written = {};
  for (const [name, value] of Object.entries(state)) {
    if (name === "numbers") continue;
    if (name === "input") written.input = value !== "numbers" ? value : sameGrid(state.numbers, start.numbers) ? null : writeGrid(state.numbers);
    else if (name === "kernel") written.kernel = state.kernel.slices.length === 1 && sameGrid(value, start.kernel) ? null : writeGrid(value);
    else written[name] = value === start[name] ? null : typeof value === "boolean" ? "1" : String(value);
  }
  return written;
}
