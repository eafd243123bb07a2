// The page "Step through": layers as chips, filters as small maps, the image with the receptive field, and the stepper.

const KEEP_MS = 500; // the most often that the address is written: browsers refuse more than 100 times in 30 seconds

export default function stepPage({ data, parentElement }) {
  parentElement.page ??= new StepPage(parentElement);
  const page = parentElement.page;
  page.take(withOutputs(unpack(data)));
  return () => {
    page.remove();
    delete parentElement.page;
  };
}

// Into the middle of its row, where that is wider than the page.
function bringIn(item) {
  const [own, row] = [item, item.parentElement].map((part) => part.getBoundingClientRect());
  item.parentElement.scrollLeft += own.left + own.width / 2 - row.left - row.width / 2;
}

class StepPage {
  constructor(root) {
    this.chips = root.querySelector(".chips");
    this.filters = root.querySelector(".filters");
    this.seen = root.querySelector(".seen");
    this.tip = new Tip(root.querySelector(".tip"));
    this.columns = sharedColumns();
    this.columns.arrived = this.arrived = () => this.stepper.arrived();
    this.stepper = new Stepper(root.querySelector(".walk"), { tip: this.tip, onmove: () => this.moved(), onturn: (by) => this.turn(by) });
  }

  remove() {
    clearTimeout(this.keeping);
    if (this.columns.arrived === this.arrived) {
      this.columns.close();
      this.columns.arrived = null;
    }
    remember("step", this.address());
    this.stepper.remove();
  }

  take(network) {
    const here = this.network ? this.address() : null;
    this.network = network;
    const asked = here ?? (network.link.layer ? network.link : recall("step") ?? {});
    const wanted = network.layers.find(({ name, kind }) => name === asked.layer && kind !== "input");
    const row = wanted ?? network.layers[1];
    this.buildChips();
    const filter = /^\d{1,6}$/.test(asked.filter) && row.shape.length === 3 && Number(asked.filter) < row.shape[2] ? Number(asked.filter) : 0;
    this.open(row, filter, wanted && asked.cell);
  }

  buildChips() {
    this.chips.replaceChildren(...this.network.layers.slice(1).map((row) => element("button", { type: "button", "data-layer": row.name, "aria-pressed": "false",
      onclick: () => this.open(row, 0) }, element("b", {}, row.name), element("span", { class: "small" }, row.note))));
  }

  // A row of the table with its arrays, as the stages take it.
  work(row) {
    const { layers, arrays } = this.network;
    const before = layers[layers.indexOf(row) - 1];
    const part = (row, name) => arrays[`${row.name}/${name}`]?.data;
    const [input, output, kernel] = [part(before, "output"), part(row, "output"), part(row, "kernel")];
    const pre = part(row, "pre_activation") ?? output;
    const colour = before.kind === "input" && before.shape[2] === 3;
    const maps = before.shape.length === 3;
    const wide = this.network.wide[row.name];
    if (wide) this.columns.open(row.name, wide.kernel, row.shape[0], this.network.most);
    else this.columns.close();
    const layer = {
      ...row, input, output, kernel, store: wide ? this.columns : null, bias: part(row, "bias"), pre_activation: pre, inputName: before.name,
      from: row.from ?? before.from, channels: before.shape[2], filters: row.shape[2], channelNames: colour ? CHANNELS : null,
      ...(row.window && maps && { rows: this.axis(row, before.shape[0]), columns: this.axis(row, before.shape[1]) }),
      scales: {
        input: layerScale(before, input), output: layerScale(row, output), pre: layerScale(row, pre, "pre_activation"),
        kernel: scaleFor("diverging", kernel ?? [wide?.largest ?? 0]),
        channels: colour ? CHANNELS.map((name) => ({ name, low: 0, high: 1 })) : undefined,
      },
    };
    if (layer.kind === "conv") Object.assign(layer.scales, termScales(layer));
    return layer;
  }

  axis({ window: { size, stride, padding } }, n) {
    return axis(n, size, stride, 1, padding);
  }

  // Without a cell that there is: one in the middle, or the answer, where there is more to see than in a corner.
  open(row, filter, cell = "") {
    const layer = (this.layer = this.work(row));
    const [height, width] = layer.rows ? [layer.rows.out, layer.columns.out] : [row.shape[0], 1];
    const parts = /^(\d{1,7})(?:,(\d{1,7}))?$/.exec(cell)?.slice(1).map((part) => Number(part ?? 0));
    let at = layer.rows ? Math.floor(height / 2) * width + Math.floor(width / 2) : layer.labels ? layer.output.indexOf(Math.max(...layer.output)) : 0;
    if (parts && parts[0] < height && parts[1] < width) at = parts[0] * width + parts[1];
    for (const chip of this.chips.children) {
      const chosen = chip.dataset.layer === row.name;
      chip.setAttribute("aria-pressed", String(chosen));
      if (chosen) bringIn(chip);
    }
    this.buildFilters(row, filter);
    this.buildImage(row);
    this.stepper.load(layer, filter, at, this.facts(layer));
  }

  facts(layer) {
    const facts = [];
    if (layer.rows) facts.push({ caption: "Height of the output", formulas: sizeFormula(layer.rows, layer.kind) });
    if (layer.parameters) facts.push({ caption: "Parameters", formulas: parametersFormula(layer.kind, layer.parameters_formula, layer.parameters) });
    return facts;
  }

  buildFilters(row, filter) {
    this.filters.hidden = row.shape.length !== 3;
    this.filters.classList.toggle("many", row.shape[2] > 40);
    if (this.filters.hidden) return;
    const [height, width, filters] = row.shape;
    const { output, scales } = this.layer;
    const step = (by, sign, title) => element("button", { type: "button", class: "turn", title, "aria-label": title, onclick: () => this.turn(by) }, sign);
    this.filters.replaceChildren(step(-1, "‹", "Previous filter ( [ )"), ...range(filters).map((at) => {
      paintGrid(scratch, width, height, scales.output, (i) => output[i * filters + at]);
      return element("button", { type: "button", class: "filter", "data-filter": at, "aria-label": `filter ${at}`, title: `filter ${at}`, onclick: () => this.choose(at) }, element("span", { style: `background-image: url(${scratch.toDataURL()})` }));
    }), step(1, "›", "Next filter ( ] )"), element("span", { class: "small which" }));
    this.mark(filter);
  }

  mark(filter) {
    const buttons = [...this.filters.querySelectorAll(".filter")];
    buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(at === filter)));
    this.filters.querySelector(".which").textContent = `filter ${filter} (0 to ${buttons.length - 1})`;
    bringIn(buttons[filter]);
  }

  turn(by) {
    const { filters } = this.layer;
    if (this.layer.rows) this.choose((this.stepper.filter + by + filters) % filters);
  }

  choose(filter) {
    this.mark(filter);
    const { playing, cell } = this.stepper;
    this.stepper.load(this.layer, filter, cell, this.facts(this.layer));
    if (playing) this.stepper.play();
  }

  // The image, and through which windows the layer sees it.
  buildImage(row) {
    const { layers, arrays } = this.network;
    const [height, width, channels] = layers[0].shape;
    const { data } = arrays["input/output"];
    this.chains = { rows: [], columns: [] };
    let [rows, columns] = [height, width];
    for (const one of layers.slice(1, layers.indexOf(row) + 1)) {
      if (!one.window) continue;
      this.chains.rows.push(this.axis(one, rows));
      this.chains.columns.push(this.axis(one, columns));
      [rows, columns] = one.shape;
    }
    const image = (this.image = new MapView({ rows: height, columns: width, label: "image" }));
    if (channels === 3) image.paintColours(data);
    else image.paint({ name: "grey", low: 0, high: 1 }, (at) => data[at]);
    image.tell(this.tip, (at) => `image · ${place(Math.floor(at / width), at % width)}`);
    const reach = (event) => this.reach(image.under(event));
    image.box.addEventListener("pointermove", reach);
    image.box.addEventListener("pointerdown", reach);
    image.box.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.reach(null));
    this.caption = element("p", { class: "small", "data-role": "field" });
    this.seen.replaceChildren(section("image", "What it sees", image.box, this.caption));
  }

  // The rows and columns of the image that a cell of the layer sees.
  field(cell) {
    const { layer, network, chains } = this;
    const [height, width] = network.layers[0].shape;
    if (layer.kind === "dense" || layer.kind === "softmax") return [new Set(range(height)), new Set(range(width))];
    const at = layer.kind === "flatten" ? Math.floor(cell / layer.from[2]) : cell;
    const across = layer.kind === "flatten" ? layer.from[1] : layer.columns.out;
    return [field(chains.rows, Math.floor(at / across)), field(chains.columns, at % across)];
  }

  // Light up the cells of the output that a pixel of the image reaches.
  reach(pixel) {
    const { stage } = this.stepper;
    if (!pixel) return stage.output.tint();
    const reached = new Map(); // by row and by column of the output
    const sees = (cell, axis, at) => {
      const key = `${axis} ${cell}`;
      if (!reached.has(key)) reached.set(key, this.field(cell)[axis].has(at));
      return reached.get(key);
    };
    stage.output.tint((row, column) => {
      const cell = row * stage.across + column;
      return cell < stage.cells && sees(cell, 0, pixel.row) && sees(cell, 1, pixel.column);
    });
  }

  moved() {
    const { cell } = this.stepper;
    const [rows, columns] = this.field(cell).map((found) => [Math.min(...found), Math.max(...found)]);
    const [height, width] = [rows[1] - rows[0] + 1, columns[1] - columns[0] + 1];
    this.image.outline(rows[0], columns[0], height, width);
    this.stepper.stage?.output.tint?.();
    if (this.layer.store) this.columns.look(cell, this.stepper.playing);
    this.caption.textContent = `Receptive field: rows ${rows[0]} to ${rows[1]}, columns ${columns[0]} to ${columns[1]} (${height}×${width}). Point at a pixel: the cells that it reaches light up.`;
    this.keeping ??= setTimeout(() => this.keep(), KEEP_MS);
  }

  // Where the visitor is, as the address names it.
  address() {
    const { layer, filter, cell, stage } = this.stepper;
    const place = layer.rows ? `${Math.floor(cell / stage.across)},${cell % stage.across}` : String(cell);
    return { layer: layer.name, filter: String(filter), cell: place };
  }

  keep() {
    this.keeping = null;
    writeAddress(this.address());
  }
}
