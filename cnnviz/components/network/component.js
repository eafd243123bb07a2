// The whole network on one page: every layer in order, every map of every layer, each number under the pointer.

export default function network({ data, parentElement, setStateValue, setTriggerValue }) {
  parentElement.network ??= new NetworkView(parentElement);
  const view = parentElement.network;
  view.tell = (chosen) => setStateValue("chosen", chosen);
  view.step = (place) => setTriggerValue("step", place);
  view.take(withOutputs(unpack(data)));
  return () => {
    view.remove();
    delete parentElement.network;
  };
}

// Kernels and biases, which a page sends once: before its first answer or after it. See `learned` in __init__.py.
const LEARNED = "cnnviz-learned";
network.keep = (data) => {
  const { name, arrays } = unpack(data);
  (globalThis.cnnviz.learned ??= {})[name] = arrays;
  dispatchEvent(new Event(LEARNED));
};

const isColour = (layer) => layer.kind === "input" && layer.shape[2] === 3;

function mapName(layer, filter, between) {
  if (layer.kind !== "input") return `${layer.name}${between}filter ${filter}`;
  return isColour(layer) ? `${layer.name}${between}${CHANNELS[filter]}` : layer.name;
}

// Red, green and blue of each cell as one picture.
function paintPicture(canvas, values, [height, width]) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  canvas.getContext("2d").putImageData(colourPicture(values, width, height), 0, 0);
}

class NetworkView {
  constructor(root) {
    this.layersBox = root.querySelector(".layers");
    this.detailBox = root.querySelector(".detail");
    this.hint = root.querySelector(".hint");
    this.tip = new Tip(root.querySelector(".tip"));
    this.part = "output";
    for (const radio of root.querySelectorAll("input[name=part]")) {
      radio.addEventListener("change", () => {
        this.part = radio.value;
        this.paint();
      });
    }
    const box = root.querySelector(".network");
    box.addEventListener("pointermove", (event) => this.hover(event));
    box.addEventListener("pointerdown", (event) => this.hover(event));
    box.addEventListener("pointerleave", () => this.tip.hide());
    box.addEventListener("keydown", (event) => this.key(event));
    this.resize = new ResizeObserver(() => {
      for (const { sheet } of this.parts ?? []) sheet?.fit();
      this.wire();
    });
    this.resize.observe(this.layersBox);
    this.onLearned = () => this.network && this.take(this.network);
    addEventListener(LEARNED, this.onLearned);
    this.canvases = new Map(); // a canvas, or a button over a part of one -> what its cells are
  }

  remove() {
    removeEventListener(LEARNED, this.onLearned);
    this.resize.disconnect();
  }

  take(network) {
    Object.assign(network.arrays, globalThis.cnnviz.learned?.[network.kept]);
    const other = JSON.stringify(network.layers) !== JSON.stringify(this.network?.layers);
    this.network = network;
    if (other) this.chosen = network.chosen; // from then on, clicks choose
    this.hint.textContent = network.hint;
    if (other) this.build();
    this.paint();
  }

  // The numbers of a layer: its output, or the sums before the activation function where it has one.
  numbers(layer, part = this.part) {
    return this.network.arrays[`${layer.name}/${part}`] ?? this.network.arrays[`${layer.name}/output`];
  }

  scale(layer, part = this.part) {
    return layerScale(layer, this.numbers(layer, part).data, part);
  }

  // A colour picture's channels have a scale each.
  mapScale(layer, filter, part = this.part) {
    return isColour(layer) ? { name: CHANNELS[filter], low: 0, high: 1 } : this.scale(layer, part);
  }

  build() {
    this.canvases.clear();
    this.parts = this.network.layers.map((layer) => this.buildLayer(layer));
    this.wires = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    this.wires.setAttribute("class", "wires");
    this.wires.setAttribute("aria-hidden", "true");
    this.layersBox.replaceChildren(...this.parts.map((part) => part.box), this.wires);
    this.layersBox.style.gridTemplateColumns = this.parts.map((part) => part.width).join(" ");
  }

  buildLayer(layer) {
    const maps = element("div", { class: "maps" });
    const legend = legendBar();
    const header = element("header", {}, element("h3", {}, layer.name), element("p", { class: "small" }, layer.shape.join("×")),
      element("p", { class: "small" }, layer.note));
    const box = element("section", { class: "layer", "aria-label": `${layer.name}: ${layer.note}` }, header, maps, legend.box);
    const cells = [];
    let [width, sheet, picture] = ["minmax(0, 1fr)", null, null];
    if (layer.shape.length === 3) {
      const [rows, columns, filters] = layer.shape;
      const colour = isColour(layer);
      const across = colour ? 3 : filters === 1 ? 1 : filters <= 8 ? 2 : Math.ceil(Math.sqrt(filters));
      sheet = new Sheet(filters, rows, columns, across);
      if (layer.kind === "input") box.classList.add("image");
      width = `minmax(0, ${colour ? 1.5 : filters === 1 ? 1.1 : across === 2 ? 1.75 : 2.3}fr)`;
      for (let filter = 0; filter < filters; filter++) cells.push(this.mapButton(layer, filter, sheet));
      if (colour) {
        picture = element("canvas", { class: "picture", role: "img", "aria-label": "input, a colour picture", onclick: () => this.choose(layer.name, 0) });
        this.canvases.set(picture, { layer, colours: true });
        maps.before(picture);
      }
      maps.classList.add("sheet");
      maps.append(sheet.canvas);
    } else if (layer.labels) {
      for (let unit = 0; unit < layer.shape[0]; unit++) cells.push(this.rowButton(layer, unit));
      width = `minmax(${5.5 + 0.5 * Math.max(...layer.labels.map((label) => label.length))}rem, 1fr)`;
    } else {
      box.classList.add("vector");
      cells.push(this.vectorButton(layer));
      width = "minmax(3.7rem, 0.5fr)";
    }
    maps.append(...cells.map((cell) => cell.button));
    return { layer, box, cells, legend, width, sheet, picture };
  }

  // A map is a part of its layer's sheet with a button over it.
  mapButton(layer, filter, sheet) {
    const button = element("button", { class: "map", type: "button", "aria-label": mapName(layer, filter, ", "), "aria-pressed": "false",
      style: sheet.place(filter), onclick: () => this.choose(layer.name, filter) });
    this.canvases.set(button, { layer, filter, rows: sheet.rows, columns: sheet.columns });
    return { button, filter };
  }

  vectorButton(layer) {
    const canvas = element("canvas");
    const button = element("button", { class: "map", type: "button", "aria-label": layer.name, "aria-pressed": "false", onclick: () => this.choose(layer.name, 0) }, canvas);
    this.canvases.set(canvas, { layer, filter: 0 });
    return { button, canvas, filter: 0 };
  }

  rowButton(layer, unit) {
    const canvas = element("canvas");
    const text = element("span");
    const button = element("button", { class: "row", type: "button", "aria-pressed": "false", onclick: () => this.choose(layer.name, unit) },
      element("span", {}, layer.labels[unit]), canvas, text);
    this.canvases.set(canvas, { layer, unit });
    return { button, canvas, text, filter: unit };
  }

  // How a layer's vector is laid out as a picture: in reading order.
  columns(layer) {
    const units = layer.shape[0];
    return units > 200 ? 8 : units > 100 ? 4 : units > 30 ? 3 : 1;
  }

  paintMap(canvas, layer, filter, part, scale) {
    const { data, shape } = this.numbers(layer, part);
    if (shape.length === 3) paintGrid(canvas, shape[1], shape[0], scale, (i) => data[i * shape[2] + filter]);
    else {
      const columns = this.columns(layer);
      paintGrid(canvas, columns, Math.ceil(shape[0] / columns), scale, (i) => data[i]);
    }
  }

  paint() {
    for (const { layer, cells, legend, sheet, picture } of this.parts) {
      const scale = this.scale(layer);
      const { data, shape } = this.numbers(layer);
      legend.show(scale);
      if (picture) paintPicture(picture, data, shape);
      if (sheet) {
        const scales = cells.map(({ filter }) => (isColour(layer) ? this.mapScale(layer, filter) : scale));
        sheet.paint((map) => scales[map], (map, i) => data[i * shape[2] + map]);
        continue;
      }
      for (const { canvas, filter, text, button } of cells) {
        if (text) {
          this.paintBar(canvas, scale, data[filter]);
          text.textContent = layer.kind === "softmax" ? percent(data[filter]) : short(data[filter]);
          button.classList.toggle("top", data.every((value) => value <= data[filter]));
        } else this.paintMap(canvas, layer, filter, this.part, scale);
      }
    }
    this.mark();
    this.detail();
  }

  // One number as a bar from zero, in its colour.
  paintBar(canvas, scale, value) {
    const width = 60;
    const zero = Math.round(((0 - scale.low) / (scale.high - scale.low)) * width);
    const end = Math.round(((value - scale.low) / (scale.high - scale.low)) * width);
    paintGrid(canvas, width, 1, scale, (i) => (i >= Math.min(zero, end) && i <= Math.max(zero, end) ? value : undefined));
  }

  choose(name, filter) {
    this.chosen = { layer: name, filter };
    this.mark();
    this.detail();
    this.tell(this.chosen);
    this.detailBox.scrollIntoView({ block: "nearest", behavior: calm() ? "auto" : "smooth" });
  }

  chosenPart() {
    return this.parts.find((part) => part.layer.name === this.chosen.layer) ?? this.parts[1];
  }

  mark() {
    const { layer } = this.chosenPart();
    for (const part of this.parts) {
      for (const { button, filter } of part.cells) {
        button.setAttribute("aria-pressed", String(part.layer === layer && (filter === this.chosen.filter || part.cells.length === 1)));
      }
    }
    this.wire();
  }

  // Lines from the maps that the chosen one is computed from.
  wire() {
    if (!this.parts) return;
    const at = this.parts.indexOf(this.chosenPart());
    const [from, to] = [this.parts[at - 1], this.parts[at]];
    const target = to.cells.find((cell) => cell.filter === this.chosen.filter) ?? to.cells[0];
    let sources = from ? from.cells : [];
    if (to.layer.kind === "pool") sources = sources.filter((cell) => cell.filter === target.filter);
    const origin = this.layersBox.getBoundingClientRect();
    const end = target.button.getBoundingClientRect();
    const paths = sources.map(({ button }) => {
      const start = button.getBoundingClientRect();
      const [x0, y0] = [start.right - origin.left + 1, start.top + start.height / 2 - origin.top];
      const [x1, y1] = [end.left - origin.left - 2, end.top + end.height / 2 - origin.top];
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("d", `M${x0},${y0} C${(x0 + x1) / 2},${y0} ${(x0 + x1) / 2},${y1} ${x1},${y1}`);
      return path;
    });
    this.wires.replaceChildren(...paths);
  }

  // The chosen map, large, with what it is made of. Built anew when the choice changes, only repainted when the numbers do.
  detail() {
    const { layer } = this.chosenPart();
    const { filter } = this.chosen;
    const maps = layer.shape.length === 3;
    const key = `${this.network.model} ${layer.name} ${maps ? filter : ""} ${Boolean(this.kernel(layer))}`;
    if (key !== this.detailKey) {
      this.detailKey = key;
      for (const canvas of this.detailCanvases ?? []) this.canvases.delete(canvas);
      this.detailCanvases = [];
      this.detailFigures = [];
      const head = element("div", { class: "head" }, element("h3", {}, maps ? mapName(layer, filter, " · ") : layer.name));
      if (maps && layer.shape[2] > 1) {
        const step = (by) => () => this.choose(layer.name, (filter + by + layer.shape[2]) % layer.shape[2]);
        head.append(element("button", { type: "button", title: "Previous filter ( [ )", "aria-label": "Previous filter", onclick: step(-1) }, "◀"),
          element("button", { type: "button", title: "Next filter ( ] )", "aria-label": "Next filter", onclick: step(1) }, "▶"));
      }
      if (layer.kind !== "input") head.append(element("button", { type: "button", class: "step", onclick: () => this.step({ layer: layer.name, filter, cell: maps ? "" : String(filter) }) }, "Step through it ▸"));
      head.append(element("p", { class: "small" }, layer.about));
      const figures = element("div", { class: "figures" });
      if (this.kernel(layer)) figures.append(this.kernelFigure(layer, filter));
      const parts = layer.activation === "linear" ? [["output", "Output"]] : [["pre_activation", "Pre-activation"], ["output", `Activation: ${layer.function}`]];
      if (isColour(layer)) {
        figures.append(this.pictureFigure(layer));
        parts[0][1] = `Its ${CHANNELS[filter]}`;
      }
      for (const [part, caption] of parts) figures.append(this.mapFigure(layer, filter, part, caption));
      this.detailBox.replaceChildren(head, figures);
    }
    for (const paint of this.detailFigures) paint();
  }

  detailCanvas(cell) {
    const canvas = element("canvas");
    this.canvases.set(canvas, cell);
    this.detailCanvases.push(canvas);
    return canvas;
  }

  mapFigure(layer, filter, part, caption) {
    const vector = layer.shape.length === 1;
    const canvas = this.detailCanvas({ layer, filter, part, wide: vector });
    const legend = legendBar();
    this.detailFigures.push(() => {
      const scale = this.mapScale(layer, filter, part);
      if (vector) {
        const { data } = this.numbers(layer, part);
        const columns = this.wideColumns(layer);
        paintGrid(canvas, columns, Math.ceil(data.length / columns), scale, (i) => data[i]);
      } else this.paintMap(canvas, layer, filter, part, scale);
      legend.show(scale);
    });
    // A click into a large map leads to how that cell came about.
    if (layer.kind !== "input") canvas.addEventListener("click", (event) => this.step({ layer: layer.name, filter, cell: this.cellUnder(event, canvas, layer) }));
    return element("div", { class: "figure" }, element("h4", {}, caption), element("div", { class: vector ? "vector" : "large" }, canvas), legend.box);
  }

  pictureFigure(layer) {
    const canvas = this.detailCanvas({ layer, colours: true });
    this.detailFigures.push(() => {
      const { data, shape } = this.numbers(layer);
      paintPicture(canvas, data, shape);
    });
    return element("div", { class: "figure" }, element("h4", {}, "The picture"), element("div", { class: "large" }, canvas));
  }

  wideColumns(layer) {
    return layer.shape[0] > 40 ? 20 : layer.shape[0];
  }

  kernel(layer) {
    return this.network.arrays[`${layer.name}/kernel`];
  }

  // Whether it is computed from the picture itself, and that is one in colour.
  seesColours(layer) {
    const [picture, first] = this.network.layers;
    return isColour(picture) && layer.name === first.name;
  }

  kernelFigure(layer, filter) {
    const [height, width, channels, filters] = this.kernel(layer).shape;
    const across = channels <= 3 ? channels : Math.ceil(Math.sqrt(channels));
    const sheet = new Sheet(channels, height, width, across, 4);
    const legend = legendBar();
    const grid = element("div", { class: "kernels", "data-slices": channels, style: `--across: ${across}` }, sheet.canvas);
    const bias = element("p", { class: "small" });
    this.canvases.set(sheet.canvas, { layer, filter, sheet });
    this.detailCanvases.push(sheet.canvas);
    // In the time machine the same network comes with other kernels.
    this.detailFigures.push(() => {
      const { data } = this.kernel(layer);
      const scale = scaleFor("diverging", data);
      sheet.paint(() => scale, (channel, i) => data[(i * channels + channel) * filters + filter], EDGE);
      legend.show(scale);
      bias.textContent = `bias ${exact(this.network.arrays[`${layer.name}/bias`].data[filter])}`;
    });
    const slices = this.seesColours(layer) ? `, a slice each for ${CHANNELS.join(", ")}` : channels > 1 ? `, a slice for each of ${channels} maps` : "";
    return element("div", { class: "figure" }, element("h4", {}, `Kernel: ${height}×${width}${slices}`),
      grid, legend.box, bias);
  }

  key(event) {
    const by = { "[": -1, "]": 1 }[event.key];
    const { layer } = this.chosenPart();
    if (!by || layer.shape.length !== 3) return;
    this.choose(layer.name, (this.chosen.filter + by + layer.shape[2]) % layer.shape[2]);
  }

  under(event, canvas) {
    const box = canvas.getBoundingClientRect();
    const { rows = canvas.height, columns = canvas.width } = this.canvases.get(canvas);
    const inside = (value, start, size, count) => Math.max(0, Math.min(count - 1, Math.floor(((value - start) / size) * count)));
    return [inside(event.clientY, box.top, box.height, rows), inside(event.clientX, box.left, box.width, columns)];
  }

  // As the stepper's address names it.
  cellUnder(event, canvas, layer) {
    const [row, column] = this.under(event, canvas);
    return layer.shape.length === 3 ? `${row},${column}` : String(row * this.wideColumns(layer) + column);
  }

  // The number under the pointer.
  hover(event) {
    const target = event.composedPath()[0];
    const canvas = this.canvases.has(target) ? target : target.closest?.(".row")?.querySelector("canvas");
    const cell = this.canvases.get(canvas);
    if (!cell) return this.tip.hide();
    const [row, column] = this.under(event, canvas);
    const text = this.describe(cell, row, column);
    if (text) this.tip.show(event, ...text);
    else this.tip.hide();
  }

  // [where, number] for one cell; null beyond the last one.
  describe({ layer, filter, part, wide, unit, sheet, colours }, row, column) {
    if (sheet) {
      const slice = sheet.at(row, column);
      if (!slice) return null;
      const kernel = this.kernel(layer);
      const [, width, channels, filters] = kernel.shape;
      const name = this.seesColours(layer) ? CHANNELS[slice.map] : `map ${slice.map}`;
      return [`${layer.name} kernel · filter ${filter} · ${name} · row ${slice.row}, column ${slice.column}`,
        exact(kernel.data[((slice.row * width + slice.column) * channels + slice.map) * filters + filter])];
    }
    const { data, shape } = this.numbers(layer, part);
    if (colours) {
      const at = (row * shape[1] + column) * 3;
      return [`${layer.name} · row ${row}, column ${column}`, CHANNELS.map((name, channel) => `${name} ${exact(data[at + channel])}`).join(" · ")];
    }
    if (shape.length === 3) {
      return [`${mapName(layer, filter, " · ")} · row ${row}, column ${column}`, exact(data[(row * shape[1] + column) * shape[2] + filter])];
    }
    const index = unit ?? row * (wide ? this.wideColumns(layer) : this.columns(layer)) + column;
    if (index >= data.length) return null;
    if (layer.from) {
      const [, width, channels] = layer.from;
      const place = Math.floor(index / channels);
      return [`${layer.name} ${index} · row ${Math.floor(place / width)}, column ${place % width}, map ${index % channels}`, exact(data[index])];
    }
    return [`${layer.name} · ${layer.labels ? `class ${layer.labels[index]}` : `unit ${index}`}`, exact(data[index])];
  }
}
