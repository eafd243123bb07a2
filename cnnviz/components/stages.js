// The stages: how one cell of each kind of layer comes about. A stage has
//   box         what is shown
//   cells, across   how many cells its output (this filter of it) has, and how many of them make a row
//   show(cell)  all numbers of a cell
//   phase(t)    how far the step is, 0 to 1: the window glides, products light up one by one, the sum lands
//   sentence(cell), formula(cell), picture()   for screen readers, for the formula, for slides
//   loading     whether some of the cell's numbers are still on their way; show(cell) again when they are there
// A layer is a row of the header with its arrays: input, kernel, bias, pre_activation, output (flat, channels last).

const PHASES = { glide: 0.2, products: 0.65, sum: 0.85 }; // of a slow step, when each is over
const TOP = 12; // contributions that a waterfall shows by themselves
const NUMBERED = 18; // rows and columns, padding included, of the largest grid that shows its numbers
const FEW = 8; // with more channels than that, the sum of each comes first
const LISTED = 9; // terms that a formula writes out

const numbered = (rows, columns) => rows <= NUMBERED && columns <= NUMBERED;
const range = (count) => Array.from({ length: count }, (_, at) => at);
const termBox = (caption, name) => {
  const number = element("b", { "data-number": name });
  return { box: element("span", { class: "term" }, element("small", {}, caption), number), number };
};
const operator = (text) => element("span", { class: "operator", "aria-hidden": "true" }, text);
const section = (name, caption, ...children) => element("section", { class: name }, element("h4", {}, caption), ...children);
const place = (row, column) => `row ${row}, column ${column}`;

// A cell of an output in words.
function cellName(layer, stage, cell) {
  if (layer.rows) return place(Math.floor(cell / stage.across), cell % stage.across);
  if (layer.labels) return `class ${layer.labels[cell]}`;
  return `${layer.kind === "dense" ? "unit" : "place"} ${cell}`;
}

// Scales for a convolution's products and for the sum of each channel.
function termScales(layer) {
  const { product, sum } = largestTerms(layer);
  return { products: scaleFor("diverging", [product]), sums: scaleFor("diverging", [sum]) };
}

// A convolution or pooling layer: maps in, a window, one map out.
class SlidingStage {
  constructor(layer, filter, context) {
    Object.assign(this, { layer, filter, context });
    const { rows, columns } = layer;
    this.cells = rows.out * columns.out;
    this.across = columns.out;
    this.taps = rows.k * columns.k;
    this.open = Math.min(context.open ?? 0, layer.channels - 1);
    const pad = { top: rows.before, left: columns.before,
      bottom: Math.max(rows.total - rows.before, 0), right: Math.max(columns.total - columns.before, 0) };
    this.inputs = this.channelsSeen().map((channel) => this.inputView(channel, pad));
    this.output = new MapView({ rows: rows.out, columns: columns.out, numbers: layer.numbers && numbered(rows.out, columns.out), label: "output" });
    this.output.tell(context.tip, (at) => `${layer.name} · ${place(...this.cell(at))}`);
    context.jump(this.output);
    this.legends = { input: legendBar(), output: legendBar() };
    const several = this.inputs.length > 1;
    const across = several ? Math.ceil(Math.sqrt(this.inputs.length)) : 1;
    const inputs = element("div", { class: `inputs${several ? " several" : ""}`, style: `--across: ${across}` }, ...this.inputs.map(({ view }) => view.box));
    this.inputBox = section("from", this.inputCaption(), inputs, this.legends.input.box);
    this.outputBox = section("to", `Output: ${rows.out}×${columns.out}`, this.output.box, this.legends.output.box);
    this.work = element("div", { class: "work" });
  }

  inputView(channel, pad) {
    const { layer, context } = this;
    const { rows, columns, channels } = layer;
    const edit = layer.edit?.input && ((at, value) => layer.edit.input(at * channels + channel, value));
    const view = new MapView({ rows: rows.n, columns: columns.n, pad, zeros: layer.kind === "conv", still: this.channelsSeen().length > FEW, numbers: layer.numbers && numbered(rows.n + rows.total, columns.n + columns.total), edit, label: channels > 1 ? `input ${channel}` : "input" });
    view.addWindow(rows.k, columns.k, rows.d);
    view.tell(context.tip, (at) => `${layer.inputName}${channels > 1 ? ` · map ${channel}` : ""} · ${place(Math.floor(at / columns.n), at % columns.n)}`);
    return { channel, view };
  }

  cell(at) {
    return [Math.floor(at / this.across), at % this.across];
  }

  outputAt(at, part = "output") {
    return this.layer[part][at * this.layer.filters + this.filter];
  }

  // Paint what does not change from cell to cell: at first, and when the layer's arrays are new ones of the same sizes.
  refresh() {
    const { layer } = this;
    for (const { view, channel } of this.inputs) view.paint(this.inputScale(channel), (at) => layer.input[at * layer.channels + channel]);
    this.legends.input.show(this.inputScale(this.inputs.at(-1).channel));
    this.legends.output.show(layer.scales.output);
  }

  // A colour picture's channels have a scale each.
  inputScale(channel) {
    const { channels, input } = this.layer.scales;
    return channels?.[channel] ?? input;
  }

  show(cell) {
    const { rows, columns } = this.layer;
    const [row, column] = this.cell(cell);
    this.before = this.corner ?? [position(rows, row, 0), position(columns, column, 0)];
    this.corner = [position(rows, row, 0), position(columns, column, 0)];
    this.at = cell;
    this.output.outline(row, column);
  }

  // The window on its way, and the output map with this cell or still without it.
  phase(t) {
    const share = Math.min(t / PHASES.glide, 1);
    const eased = share * share * (3 - 2 * share);
    const [y, x] = [0, 1].map((i) => this.before[i] + (this.corner[i] - this.before[i]) * eased);
    for (const { view } of this.inputs) view.slide(y, x);
    if (t >= 1) this.before = this.corner;
    const until = this.at + (t >= PHASES.sum ? 1 : 0);
    if (until !== this.filled) {
      this.filled = until;
      this.output.paint(this.layer.scales.output, (at) => this.outputAt(at), until);
    }
  }
}

class ConvStage extends SlidingStage {
  constructor(layer, filter, context) {
    super(layer, filter, context);
    const { rows, columns, channels } = layer;
    const grid = (label, edit = null) => new MapView({ rows: rows.k, columns: columns.k, numbers: true, edit, label });
    this.patch = grid("window");
    this.slice = grid("kernel", layer.edit?.kernel && ((at, value) => layer.edit.kernel(at * channels + this.open, value)));
    this.products = grid("products");
    this.patchValues = new Float64Array(this.taps);
    this.productValues = new Float64Array(this.taps);
    this.sums = new Float64Array(channels);
    for (const [view, name] of [[this.patch, "window"], [this.slice, "kernel"], [this.products, "product"]]) {
      view.tell(context.tip, (at) => `${name} · ${place(Math.floor(at / columns.k), at % columns.k)}`);
    }
    const grids = element("div", { class: "grids", style: `--taps: ${Math.max(rows.k, columns.k)}` }, section("grid", "Window", this.patch.box), operator("×"), section("grid", "Kernel", this.slice.box),
      operator("="), section("grid", "Products", this.products.box));
    this.grids = section("open", "", grids);
    this.work.append(this.grids);
    if (channels > 1) this.work[channels > FEW ? "prepend" : "append"](this.channelSums());
    this.box = [this.inputBox, this.outputBox, this.line(), this.work];
    super.refresh();
    this.choose(this.open);
  }

  channelsSeen() {
    return range(this.layer.channels);
  }

  inputCaption() {
    const { channels, rows, columns, inputName } = this.layer;
    return `Input: ${channels > 1 ? `${channels} maps of ` : ""}${rows.n}×${columns.n} (${inputName})`;
  }

  // One sum a channel, laid out as the input maps are; each opens its channel.
  channelSums() {
    const { channels } = this.layer;
    const across = channels === 3 ? 3 : Math.ceil(Math.sqrt(channels));
    this.perChannel = new MapView({ rows: Math.ceil(channels / across), columns: across, count: channels, numbers: true, label: "channel sums" });
    this.perChannel.tell(this.context.tip, (at) => `sum of the products of map ${at}`);
    this.perChannel.box.addEventListener("click", (event) => this.choose(this.perChannel.under(event).at));
    for (const { view, channel } of this.inputs) view.box.addEventListener("click", () => this.choose(channel));
    const step = (by) => () => this.choose((this.open + by + channels) % channels);
    return section(channels > FEW ? "sums many" : "sums", "Sum of each map", this.perChannel.box, element("p", { class: "small turn" },
      element("button", { type: "button", "aria-label": "Open the map before", onclick: step(-1) }, "◀"), "choose a map to open it",
      element("button", { type: "button", "aria-label": "Open the next map", onclick: step(1) }, "▶")));
  }

  line() {
    const { channels, activation } = this.layer;
    const caption = channels > 1 ? `sum over ${channels} maps` : `sum of ${this.taps} product${this.taps > 1 ? "s" : ""}`;
    this.terms = { sum: termBox(caption, "sum"), bias: termBox("bias", "bias"), pre: termBox("pre-activation", "pre"),
      output: termBox(ACTIVATIONS[activation].title === "none" ? "output (no activation)" : ACTIVATIONS[activation].title, "output") };
    const { sum, bias, pre, output } = this.terms;
    this.curve = new Curve(activation, this.layer.scales.pre.high);
    const line = element("div", { class: "line" }, sum.box, operator("+"), bias.box, operator("="), pre.box, operator("→"), output.box);
    return element("div", { class: "result" }, line, ...(activation === "linear" ? [] : [this.curve.box]));
  }

  // Open a channel: its window, kernel slice and products are the grids that are shown.
  choose(channel) {
    if (channel < 0) return;
    const { channels, filters, kernel, kernelNote, channelNames, scales } = this.layer;
    this.open = this.context.open = channel;
    for (const one of this.inputs) one.view.box.classList.toggle("opened", channels > 1 && one.channel === channel);
    const name = channels > 1 ? `Map ${channel}${channelNames ? `, ${channelNames[channel]}` : ""} (0 to ${channels - 1})` : "";
    this.grids.querySelector("h4").textContent = [name, kernelNote].filter(Boolean).join(". ");
    this.slice.paint(scales.kernel, (at) => kernel[(at * channels + channel) * filters + this.filter]);
    this.perChannel?.outline(Math.floor(channel / this.perChannel.columns), channel % this.perChannel.columns);
    if (this.at !== undefined) {
      this.show(this.at);
      this.phase(1);
    }
  }

  refresh() {
    super.refresh();
    const curve = new Curve(this.layer.activation, this.layer.scales.pre.high);
    this.curve.box.replaceWith(curve.box);
    this.curve = curve;
    this.choose(this.open);
  }

  show(cell) {
    super.show(cell);
    const { layer, filter, sums } = this;
    const [row, column] = this.cell(cell);
    for (let channel = 0; channel < layer.channels; channel++) {
      const own = channel === this.open;
      sums[channel] = convChannel(layer, filter, row, column, channel, own ? this.patchValues : null, this.productValues);
    }
    this.sum = sums.reduce((a, b) => a + b, 0);
    this.patch.paint(this.inputScale(this.open), (at) => this.patchValues[at]);
    const pre = this.outputAt(cell, "pre_activation");
    const { terms } = this;
    terms.sum.number.textContent = exact(Math.fround(this.sum));
    terms.bias.number.textContent = exact(layer.bias[filter]);
    terms.pre.number.textContent = exact(pre);
    terms.output.number.textContent = exact(this.outputAt(cell));
    this.curve.point(pre, this.outputAt(cell));
    this.lit = this.added = null;
    this.filled = null;
  }

  phase(t) {
    super.phase(t);
    const { layer } = this;
    const through = (from, to) => Math.max(0, Math.min(1, (t - from) / (to - from)));
    const middle = layer.channels > 1 ? PHASES.products - 0.15 : PHASES.products;
    const lit = t >= 1 ? this.taps : Math.floor(through(PHASES.glide, middle) * this.taps);
    if (lit !== this.lit) {
      this.lit = lit;
      this.products.paint(layer.scales.products, (at) => this.productValues[at], lit);
    }
    const added = t >= 1 ? layer.channels : Math.floor(through(middle, PHASES.products) * layer.channels);
    if (this.perChannel && added !== this.added) {
      this.added = added;
      this.perChannel.paint(layer.scales.sums, (at) => this.sums[at], added);
    }
    this.terms.sum.box.classList.toggle("waiting", t < PHASES.products);
    for (const name of ["pre", "output"]) this.terms[name].box.classList.toggle("waiting", t < PHASES.sum);
  }

  sentence(cell) {
    const { layer } = this;
    const [row, column] = this.cell(cell);
    const function_ = layer.activation === "linear" ? "" : `; ${ACTIVATIONS[layer.activation].title} makes it ${short(this.outputAt(cell))}`;
    return `${place(row, column)}: ${this.taps * layer.channels} products add up to ${short(this.sum)}; the bias ${short(layer.bias[this.filter])} makes it ${short(this.outputAt(cell, "pre_activation"))}${function_}.`;
  }

  formula(cell) {
    const { layer, filter } = this;
    const [row, column] = this.cell(cell);
    const channel = layer.channels > 1;
    const index = (tap, start, axis) => `${start}${axis.s > 1 ? `<mo>·</mo>${mn(axis.s)}` : ""}<mo>+</mo>${axis.d > 1 ? `${mn(axis.d)}<mo>·</mo>` : ""}${mi(tap)}${axis.before ? `<mo>−</mo>${mn(axis.before)}` : ""}`;
    const x = sub("x", `${index("i", mi("r"), layer.rows)}<mo>,</mo>${index("j", mi("c"), layer.columns)}${channel ? `<mo>,</mo>${mi("m")}` : ""}`);
    const tap = (index, axis) => (layer.flipped ? `${mn(axis.k - 1)}<mo>−</mo>${mi(index)}` : mi(index));
    const w = sub("w", `${tap("i", layer.rows)}<mo>,</mo>${tap("j", layer.columns)}${channel ? `<mo>,</mo>${mi("m")}` : ""}`);
    const general = equation(sub("z", `${mi("r")}<mo>,</mo>${mi("c")}`), `${channel ? sigma("m") : ""}${sigma("i")}${sigma("j")}${x}<mo>·</mo>${w}<mo>+</mo>${mi("b")}`);
    const [pre, bias] = [this.outputAt(cell, "pre_activation"), layer.bias[filter]];
    let [terms, shown] = [[], []];
    if (!channel && this.taps <= LISTED) {
      const weights = range(this.taps).map((at) => layer.kernel[at * layer.filters + filter]);
      shown = [...this.patchValues, ...weights];
      terms = weights.map((weight, at) => `${signed(this.patchValues[at], at)}<mo>·</mo>${weight < 0 ? `<mo>(</mo>${mn(weight)}<mo>)</mo>` : mn(weight)}`);
    } else {
      shown = [...(channel ? this.sums : this.productValues)].filter((value) => value !== 0);
      terms = shown.length ? shown.slice(0, LISTED).map(signed) : [mn(0)];
      if (shown.length > LISTED) terms.push("<mo>+</mo><mo>⋯</mo>");
    }
    const numbers = sumEquation(sub("z", `${mn(row)}<mo>,</mo>${mn(column)}`), terms, `${signed(bias, 1)}${equals(...shown, bias, pre)}${mn(pre)}`);
    return [general, ...numbers, ...activated(layer.activation, pre, this.outputAt(cell))];
  }

  picture() {
    const { layer } = this;
    const open = this.inputs.find(({ channel }) => channel === this.open);
    return [{ view: open.view, caption: layer.channels > 1 ? `${layer.inputName}, map ${this.open}` : layer.inputName },
      { view: this.patch, caption: "window" }, { sign: "×" }, { view: this.slice, caption: "kernel" }, { sign: "=" },
      { view: this.products, caption: "products" }, { sign: "→" }, { view: this.output, caption: `${layer.name}, filter ${this.filter}` }];
  }

  words() {
    const { terms } = this;
    const several = this.layer.channels > 1 ? ` over ${this.layer.channels} maps` : "";
    const function_ = this.layer.activation === "linear" ? "" : `   →   ${ACTIVATIONS[this.layer.activation].title}   →   ${terms.output.number.textContent}`;
    return `sum${several} ${terms.sum.number.textContent}  +  bias ${terms.bias.number.textContent}  =  ${terms.pre.number.textContent}${function_}`;
  }
}

class PoolStage extends SlidingStage {
  constructor(layer, filter, context) {
    super(layer, filter, context);
    const { rows, columns } = layer;
    this.values = [];
    this.patch = new MapView({ rows: rows.k, columns: columns.k, numbers: numbered(rows.k, columns.k), label: "window" });
    this.patch.tell(context.tip, (at) => `window · ${place(Math.floor(at / columns.k), at % columns.k)}`);
    const max = layer.mode === "max";
    this.terms = { output: termBox(max ? "the largest" : "the mean", "output"), ...(max ? {} : { sum: termBox("sum of the window", "sum"), count: termBox("cells", "count") }) };
    const { sum, count, output } = this.terms;
    this.work.style.setProperty("--taps", Math.max(rows.k, columns.k));
    this.work.append(section("grid", "Window", this.patch.box));
    this.box = [this.inputBox, this.outputBox, element("div", { class: "result" }, element("div", { class: "line" },
      ...(max ? [operator("max →"), output.box] : [sum.box, operator("÷"), count.box, operator("="), output.box]))), this.work];
    super.refresh();
  }

  channelsSeen() {
    return [this.filter];
  }

  inputCaption() {
    const { channels, rows, columns, inputName } = this.layer;
    return `Input: ${channels > 1 ? `map ${this.filter}, ` : ""}${rows.n}×${columns.n} (${inputName})`;
  }

  refresh() {
    super.refresh();
    if (this.at === undefined) return;
    this.show(this.at);
    this.phase(1);
  }

  show(cell) {
    super.show(cell);
    const { layer, terms } = this;
    this.result = poolCell(layer, this.filter, ...this.cell(cell), this.values);
    this.patch.paint(this.inputScale(this.filter), (at) => this.values[at]);
    const { winner } = this.result;
    if (winner >= 0) this.patch.outline(Math.floor(winner / layer.columns.k), winner % layer.columns.k);
    terms.output.number.textContent = exact(this.outputAt(cell));
    if (terms.sum) {
      terms.sum.number.textContent = exact(Math.fround(this.result.sum));
      terms.count.number.textContent = this.result.count;
    }
    this.filled = null;
  }

  phase(t) {
    super.phase(t);
    for (const { box } of Object.values(this.terms)) box.classList.toggle("waiting", t < PHASES.products);
  }

  sentence(cell) {
    const { layer, result } = this;
    const [row, column] = this.cell(cell);
    return `${place(row, column)}: ${layer.mode === "max" ? "the largest" : "the mean"} of ${result.count} cells is ${short(this.outputAt(cell))}.`;
  }

  formula(cell) {
    const { layer, result, values } = this;
    const [row, column] = this.cell(cell);
    const y = sub("y", `${mi("r")}<mo>,</mo>${mi("c")}`);
    const cellNow = sub("y", `${mn(row)}<mo>,</mo>${mn(column)}`);
    const x = sub("x", `${mi("i")}<mo>,</mo>${mi("j")}`);
    const seen = values.filter((value) => value !== undefined);
    if (layer.mode === "max") {
      const list = seen.length <= LISTED ? seen.map((value) => mn(value)).join("<mo>,</mo>") : `${mn(seen.length)}<mtext> numbers</mtext>`;
      return [equation(y, `<munder><mo>max</mo><mrow>${mi("i")}<mo>,</mo>${mi("j")}</mrow></munder>${x}`),
        equation(cellNow, `<mo>max</mo><mo>(</mo>${list}<mo>)</mo><mo>=</mo>${mn(this.outputAt(cell))}`)];
    }
    const list = seen.length <= LISTED ? seen.map((value, at) => signed(value, at)).join("") : mn(result.sum);
    return [equation(y, `<mfrac><mn>1</mn>${mi("n")}</mfrac>${sigma("i")}${sigma("j")}${x}`),
      equation(cellNow, `<mfrac><mrow>${list}</mrow>${mn(result.count)}</mfrac>${equals(...seen, this.outputAt(cell))}${mn(this.outputAt(cell))}`)];
  }

  picture() {
    const { layer } = this;
    return [{ view: this.inputs[0].view, caption: `${layer.inputName}${layer.channels > 1 ? `, map ${this.filter}` : ""}` }, { view: this.patch, caption: "window" },
      { sign: layer.mode === "max" ? "max →" : "mean →" }, { view: this.output, caption: `${layer.name}, map ${this.filter}` }];
  }

  words() {
    const { output, sum, count } = this.terms;
    return sum ? `${sum.number.textContent}  ÷  ${count.number.textContent}  =  ${output.number.textContent}` : `the largest:  ${output.number.textContent}`;
  }
}

// A vector as a grid of cells in reading order.
function vectorView(count, across, label, context, name) {
  const view = new MapView({ rows: Math.ceil(count / across), columns: across, count, label });
  view.tell(context.tip, (at) => `${name} ${at}`);
  return view;
}

const acrossFor = (count) => (count > 2000 ? 64 : count > 400 ? 40 : count > 40 ? 20 : count);

// Maps in one row: where each cell goes.
class FlattenStage {
  constructor(layer, filter, context) {
    const [height, width, maps] = layer.from;
    Object.assign(this, { layer, height, width, maps, cells: height * width * maps });
    this.across = acrossFor(this.cells);
    this.views = range(maps).map((map) => {
      const view = new MapView({ rows: height, columns: width, still: maps > FEW, label: `input ${map}` });
      view.tell(context.tip, (at) => `${layer.inputName} · map ${map} · ${place(Math.floor(at / width), at % width)}`);
      view.paint(layer.scales.input, (at) => layer.input[at * maps + map]);
      view.box.addEventListener("click", (event) => context.go(view.under(event).at * maps + map));
      return view;
    });
    this.output = vectorView(this.cells, this.across, "output", context, layer.name);
    context.jump(this.output);
    this.number = termBox("its number", "output");
    this.legend = legendBar();
    this.legend.show(layer.scales.output);
    const inputs = element("div", { class: "inputs several", style: `--across: ${Math.ceil(Math.sqrt(maps))}` }, ...this.views.map((view) => view.box));
    this.box = [section("from", `Input: ${maps} maps of ${height}×${width} (${layer.inputName})`, inputs),
      section("to wide", `Output: one row of ${this.cells}, here in lines of ${this.across}`, this.output.box, this.legend.box),
      element("div", { class: "result" }, element("div", { class: "line" }, this.number.box))];
  }

  source(cell) {
    const at = Math.floor(cell / this.maps);
    return [Math.floor(at / this.width), at % this.width, cell % this.maps];
  }

  show(cell) {
    const [row, column, map] = this.source(cell);
    this.at = cell;
    if (this.shown !== undefined) this.views[this.shown].ring.hidden = true;
    this.views[map].outline(row, column);
    this.views[map].ring.hidden = false;
    this.shown = map;
    this.output.outline(Math.floor(cell / this.across), cell % this.across);
    this.number.number.textContent = exact(this.layer.output[cell]);
  }

  phase(t) {
    this.output.paint(this.layer.scales.output, (at) => this.layer.output[at], this.at + (t >= PHASES.sum ? 1 : 0));
  }

  sentence(cell) {
    const [row, column, map] = this.source(cell);
    return `map ${map}, ${place(row, column)} goes to place ${cell}; its number is ${short(this.layer.output[cell])}.`;
  }

  formula(cell) {
    const [row, column, map] = this.source(cell);
    const index = (r, w, c, m, k) => `<mo>(</mo>${r}<mo>·</mo>${w}<mo>+</mo>${c}<mo>)</mo><mo>·</mo>${m}<mo>+</mo>${k}`;
    return [equation("<mtext>place</mtext>", index("<mtext>row</mtext>", "<mtext>width</mtext>", "<mtext>column</mtext>", "<mtext>maps</mtext>", "<mtext>map</mtext>")),
      equation(mn(cell), index(mn(row), mn(this.width), mn(column), mn(this.maps), mn(map)))];
  }

  picture() {
    return [{ view: this.views[this.shown], caption: `${this.layer.inputName}, map ${this.shown}` }, { sign: "→" }, { view: this.output, caption: `${this.layer.name}: one row of ${this.cells}`, wide: true }];
  }

  words() {
    return `map ${this.shown}, ${place(...this.source(this.at))}  →  place ${this.at}:  ${this.number.number.textContent}`;
  }
}

// Every input times its weight, the largest first.
class DenseStage {
  constructor(layer, filter, context) {
    Object.assign(this, { layer, cells: layer.output.length, inputs: layer.input.length });
    this.across = layer.labels ? 1 : acrossFor(this.cells);
    const across = acrossFor(this.inputs);
    this.input = new MapView({ rows: Math.ceil(this.inputs / across), columns: across, count: this.inputs, label: "input" });
    this.input.tell(context.tip, (at) => `${layer.inputName} · ${this.inputName(at)}`);
    this.weights = new MapView({ rows: Math.ceil(this.inputs / across), columns: across, count: this.inputs, label: "kernel" });
    this.weights.tell(context.tip, (at) => `weight of ${this.inputName(at)}`);
    this.output = layer.labels ? new ClassRows(layer.labels, context) : vectorView(this.cells, this.across, "output", context, `${layer.name} · unit`);
    if (!layer.labels) context.jump(this.output);
    this.legends = range(3).map(() => legendBar());
    this.waterfall = new Waterfall();
    this.terms = { pre: termBox("pre-activation", "pre"), output: termBox(ACTIVATIONS[layer.activation].title, "output"), bias: termBox("bias", "bias"), sum: termBox(`sum of ${this.inputs} products`, "sum") };
    const { pre, output, bias, sum } = this.terms;
    this.curve = new Curve(layer.activation, layer.scales.pre.high);
    const linear = layer.activation === "linear";
    this.all = element("details", { ontoggle: () => this.list() }, element("summary", {}, `All ${this.inputs} products, the largest first`));
    this.coming = element("p", { class: "coming", role: "status" });
    this.falls = section("falls", "From zero to the pre-activation", this.coming, this.waterfall.box, this.all);
    this.box = [section("from", `Input: ${this.inputs} numbers (${layer.inputName})`, this.input.box, this.legends[0].box,
      element("h4", {}, "Their weights to this unit"), this.weights.box, this.legends[1].box),
    section("to", `Output: ${this.cells} ${layer.labels ? "logits" : "units"}`, this.output.box, ...(layer.labels ? [] : [this.legends[2].box])),
    element("div", { class: "result" }, element("div", { class: "line" }, sum.box, operator("+"), bias.box, operator("="), pre.box, ...(linear ? [] : [operator("→"), output.box])),
      ...(linear ? [] : [this.curve.box])),
    element("div", { class: "work" }, this.falls)];
    this.input.paint(layer.scales.input, (at) => layer.input[at]);
    this.legends[0].show(layer.scales.input);
    this.legends[1].show(layer.scales.kernel);
    this.legends[2].show(layer.scales.output);
  }

  inputName(at) {
    if (!this.layer.from) return `unit ${at}`;
    const [, width, maps] = this.layer.from;
    const cell = Math.floor(at / maps);
    return `map ${at % maps}, ${Math.floor(cell / width)}/${cell % width}`;
  }

  // Of a layer whose kernel is not sent whole: undefined until the unit's column is there.
  weight(at) {
    const { kernel } = this.layer;
    return kernel ? kernel[at * this.cells + this.at] : this.column?.[at];
  }

  // The sum: on its way as long as the weights are.
  sumText() {
    return this.loading ? "…" : exact(Math.fround(this.sum));
  }

  show(cell) {
    const { layer } = this;
    this.at = cell;
    this.column = layer.store?.of(cell);
    this.loading = !layer.kernel && !this.column;
    this.falls.classList.toggle("loading", this.loading);
    this.coming.textContent = this.loading ? `Loading the weights of ${cellName(layer, this, cell)} …` : "";
    this.products = Float64Array.from(layer.input, (value, at) => value * this.weight(at));
    this.order = range(this.inputs).sort((a, b) => Math.abs(this.products[b]) - Math.abs(this.products[a]));
    this.sum = this.products.reduce((a, b) => a + b, 0);
    this.weights.paint(layer.scales.kernel, (at) => this.weight(at));
    const pre = layer.pre_activation[cell];
    this.terms.sum.number.textContent = this.sumText();
    this.terms.bias.number.textContent = exact(layer.bias[cell]);
    this.terms.pre.number.textContent = exact(pre);
    this.terms.output.number.textContent = exact(layer.output[cell]);
    this.curve.point(pre, layer.output[cell]);
    this.output.outline(Math.floor(cell / this.across), cell % this.across);
    if (this.loading) return;
    let running = 0;
    const rows = this.order.slice(0, TOP).map((at) => {
      const from = running;
      running += this.products[at];
      return { name: this.inputName(at), terms: `${short(layer.input[at])} × ${short(this.weight(at))}`, from, to: running };
    });
    if (this.inputs > TOP) {
      rows.push({ name: "all others", terms: `${this.inputs - TOP} products`, from: running, to: this.sum });
    }
    rows.push({ name: "bias", terms: "", from: this.sum, to: this.sum + layer.bias[cell] }, { name: "pre-activation", terms: "", from: 0, to: pre, total: true });
    this.waterfall.show(rows);
    this.list();
  }

  // The whole list, only while somebody looks at it.
  list() {
    if (!this.all.open || this.loading) return;
    this.table ??= this.all.appendChild(element("ol"));
    this.table.replaceChildren(...this.order.map((at) => element("li", {},
      `${this.inputName(at)}: ${exact(this.layer.input[at])} × ${exact(this.weight(at))} = ${exact(Math.fround(this.products[at]))}`)));
  }

  phase(t) {
    const until = this.at + (t >= PHASES.sum ? 1 : 0);
    this.output.paint(this.layer.scales.output, (at) => this.layer.output[at], until);
    for (const name of ["pre", "output"]) this.terms[name].box.classList.toggle("waiting", t < PHASES.sum);
  }

  sentence(cell) {
    const { layer } = this;
    if (this.loading) return `${cellName(layer, this, cell)}: its weights are loading.`;
    return `${cellName(layer, this, cell)}: ${this.inputs} products add up to ${short(this.sum)}; the bias makes it ${short(layer.pre_activation[cell])}; the largest product is ${short(this.products[this.order[0]])} from ${this.inputName(this.order[0])}.`;
  }

  formula(cell) {
    const { layer } = this;
    const pre = layer.pre_activation[cell];
    return [equation(sub("z", mi("u")), `${sigma("i")}${sub("x", mi("i"))}<mo>·</mo>${sub("w", `${mi("i")}<mo>,</mo>${mi("u")}`)}<mo>+</mo>${sub("b", mi("u"))}`),
      equation(sub("z", mn(cell)), `${this.loading ? "<mo>⋯</mo>" : mn(this.sum)}${signed(layer.bias[cell], 1)}${equals(this.loading ? NaN : this.sum, layer.bias[cell], pre)}${mn(pre)}`), ...activated(layer.activation, pre, layer.output[cell])];
  }

  picture() {
    return [{ view: this.input, caption: this.layer.inputName }, ...(this.loading ? [] : [{ fall: this.waterfall }])];
  }

  words() {
    const { sum, bias, pre, output } = this.terms;
    const function_ = this.layer.activation === "linear" ? "" : `   →   ${ACTIVATIONS[this.layer.activation].title}   →   ${output.number.textContent}`;
    return `sum ${sum.number.textContent}  +  bias ${bias.number.textContent}  =  ${pre.number.textContent}${function_}`;
  }
}

// Logits to exponentials to shares of their sum.
class SoftmaxStage {
  constructor(layer, filter, context) {
    Object.assign(this, { layer, cells: layer.output.length, across: 1 });
    this.exponentials = Float64Array.from(layer.input, Math.exp);
    this.total = this.exponentials.reduce((a, b) => a + b, 0);
    this.output = new ClassRows(layer.labels, context);
    this.terms = { logit: termBox("logit z", "logit"), exponential: termBox("e to the z", "exponential"), total: termBox(`sum of all ${layer.output.length}`, "total"), output: termBox("probability", "output") };
    const { exponential, total, output, logit } = this.terms;
    this.rows = layer.labels.map((label, at) => element("tr", { onclick: () => context.go(at) }, element("th", { scope: "row" }, label),
      element("td", {}, short(layer.input[at])), element("td", {}, scientific(this.exponentials[at])), element("td", {}, percent(layer.output[at]))));
    const table = element("table", {}, element("thead", {}, element("tr", {}, ...["class", "logit z", "e to the z", "share"].map((title) => element("th", { scope: "col" }, title)))),
      element("tbody", {}, ...this.rows), element("tfoot", {}, element("tr", {}, element("th", { scope: "row" }, "sum"), element("td"), element("td", {}, scientific(this.total)), element("td", {}, "100 %"))));
    this.box = [section("from table", "Logits, and e to the power of each", table), section("to", "Output: probabilities", this.output.box),
      element("div", { class: "result" }, element("div", { class: "line" }, logit.box, operator("→"), exponential.box, operator("÷"), total.box, operator("="), output.box))];
  }

  show(cell) {
    const { layer, terms } = this;
    this.at = cell;
    terms.logit.number.textContent = exact(layer.input[cell]);
    terms.exponential.number.textContent = scientific(this.exponentials[cell], 6);
    terms.total.number.textContent = scientific(this.total, 6);
    terms.output.number.textContent = exact(layer.output[cell]);
    this.rows.forEach((row, at) => row.classList.toggle("now", at === cell));
    this.output.outline(cell);
  }

  phase(t) {
    this.output.paint(this.layer.scales.output, (at) => this.layer.output[at], this.at + (t >= PHASES.sum ? 1 : 0));
    this.terms.output.box.classList.toggle("waiting", t < PHASES.sum);
  }

  sentence(cell) {
    const { layer } = this;
    return `class ${layer.labels[cell]}: e to the ${short(layer.input[cell])}, divided by the sum of all, is ${percent(layer.output[cell])}.`;
  }

  formula(cell) {
    const { layer } = this;
    const power = (of) => `<msup><mi>e</mi>${of}</msup>`;
    return [equation(sub("p", mi("k")), `<mfrac>${power(sub("z", mi("k")))}<mrow>${sigma("j")}${power(sub("z", mi("j")))}</mrow></mfrac>`),
      equation(sub("p", mn(cell)), `<mfrac>${power(`<mrow>${mn(layer.input[cell])}</mrow>`)}<mtext>${scientific(this.total)}</mtext></mfrac><mo>≈</mo><mfrac><mtext>${scientific(this.exponentials[cell])}</mtext><mtext>${scientific(this.total)}</mtext></mfrac><mo>≈</mo><mn>${exact(layer.output[cell])}</mn>`)];
  }

  picture() {
    const { layer } = this;
    const rows = layer.labels.map((label, at) => ({ name: label, terms: `e^${short(layer.input[at])} = ${scientific(this.exponentials[at])}`, from: 0, to: layer.output[at], total: at === this.at }));
    return [{ fall: { shown: rows, low: 0, high: 1 } }];
  }

  words() {
    const { exponential, total, output } = this.terms;
    return `${exponential.number.textContent}  ÷  ${total.number.textContent}  =  ${output.number.textContent}`;
  }
}

const STAGES = { conv: ConvStage, pool: PoolStage, flatten: FlattenStage, dense: DenseStage, softmax: SoftmaxStage };
