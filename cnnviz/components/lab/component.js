// A lab: settings on the left, the stepper beside them, everything recomputed here at once.

const ONE_STEP_MS = 800; // changes of one setting that follow each other so fast are undone together
const STEPS = 200; // that can be undone
const ADDRESS_MS = 500; // the most often that the address is written

export default function lab({ data, parentElement }) {
  parentElement.lab ??= new Lab(parentElement);
  const page = parentElement.lab;
  page.take(unpack(data));
  return () => {
    page.remove();
    delete parentElement.lab;
  };
}

class Lab {
  constructor(root) {
    this.form = root.querySelector(".controls");
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.problem = root.querySelector(".problem");
    this.more = root.querySelector(".more");
    this.table = root.querySelector(".table");
    this.tip = new Tip(root.querySelector(".tip"));
    this.stepper = new Stepper(root.querySelector(".walk"), { tip: this.tip, onmove: () => this.moved(), onturn: (by) => this.turn(by) });
    this.past = [];
    this.future = [];
  }

  remove() {
    clearTimeout(this.keeping);
    if (this.stepper.stage) remember(this.kind, this.address());
    this.stepper.remove();
  }

  take(header) {
    const upload = header.arrays["picture/upload"]?.data;
    const other = upload && !(this.upload?.length === upload.length && this.upload.every((value, at) => value === upload[at]));
    const first = !this.header;
    this.header = header;
    this.kind = header.kind;
    this.upload = upload;
    this.known = new Map([...Object.entries(KERNELS).map(([name, rows]) => [name, grid(rows)]), ...header.kernels.map((title) => {
      const { data, shape: [channels, rows, columns] } = header.arrays[`kernel/${title}`];
      return [title, { rows, columns, slices: range(channels).map((one) => data.slice(one * rows * columns, (one + 1) * rows * columns)) }];
    })]);
    if (first) {
      const named = Object.keys(writeSettings(this.kind, START[this.kind]())).some((name) => name in header.link);
      const link = named ? header.link : recall(this.kind) ?? {};
      const { state, problems } = readSettings(this.kind, link, header.pictures.map(({ name }) => name));
      this.state = state;
      this.problems = problems;
      const cell = /^(\d{1,4}),(\d{1,4})$/.exec(link.cell ?? "");
      this.start = cell && cell.slice(1).map(Number);
    }
    this.build();
    if (other && !first) this.change({ input: "upload" });
    else this.update();
  }

  // The input as an array: {data, rows, columns, channels}.
  input() {
    const { input, numbers, grey } = this.state;
    const picture = this.header.arrays[`picture/${input}`];
    if (input === "numbers" || !picture) return { data: numbers.slices[0], rows: numbers.rows, columns: numbers.columns, channels: 1, name: "numbers" };
    const [rows, columns, channels] = picture.shape;
    if (channels === 1 || !grey) return { data: picture.data, rows, columns, channels, name: this.titleOf(input) };
    const data = Float32Array.from({ length: rows * columns }, (_, at) => 0.299 * picture.data[3 * at] + 0.587 * picture.data[3 * at + 1] + 0.114 * picture.data[3 * at + 2]);
    return { data, rows, columns, channels: 1, name: this.titleOf(input) };
  }

  titleOf(name) {
    return this.header.pictures.find((picture) => picture.name === name).title;
  }

  // Change settings; the step can be undone. A slider that moves on, or a number that is still typed, is one step.
  change(changes) {
    const [what, now] = [Object.keys(changes).join(), performance.now()];
    if (what !== this.what || now - this.when > ONE_STEP_MS) this.past.push(this.state);
    if (this.past.length > STEPS) this.past.shift();
    [this.what, this.when] = [what, now];
    this.future = [];
    this.problems = [];
    this.state = { ...this.state, ...changes };
    this.update();
  }

  undo() {
    if (!this.past.length) return;
    this.future.push(this.state);
    this.what = null;
    this.state = this.past.pop();
    this.update();
  }

  redo() {
    if (!this.future.length) return;
    this.past.push(this.state);
    this.state = this.future.pop();
    this.update();
  }

  say(sentences) {
    this.problem.hidden = !sentences.length;
    this.problem.textContent = sentences.join(" ");
  }

  // Compute everything anew and show it.
  update() {
    this.fill();
    const layer = this.kind === "conv" ? this.convolution() : this.pooling();
    const impossible = this.impossible(layer);
    this.say([...this.problems, ...impossible]);
    this.table.classList.toggle("stale", impossible.length > 0);
    this.keep();
    this.stepper.box.hidden = impossible.length > 0 && !this.stepper.stage;
    if (impossible.length) return this.stepper.pause();
    this.compute(layer);
    const { stage } = this.stepper;
    const shape = JSON.stringify([layer.rows, layer.columns, layer.channels, layer.filter, layer.activation, layer.mode, layer.flipped, this.state.input]);
    if (stage && shape === this.shape) {
      Object.assign(stage.layer, layer);
      this.stepper.refresh();
    } else {
      const before = stage ? [Math.floor(this.stepper.cell / stage.across), this.stepper.cell % stage.across] : this.start ?? [0, 0];
      const [row, column] = [Math.min(before[0], layer.rows.out - 1), Math.min(before[1], layer.columns.out - 1)];
      this.shape = shape;
      this.stepper.load(layer, layer.filter, row * layer.columns.out + column, this.facts(layer));
    }
    this.showMore(layer);
  }

  convolution() {
    const { kernel, stride, dilation, padding, bias, activation, flip } = this.state;
    const input = this.input();
    const taps = kernel.rows * kernel.columns;
    const applied = new Float32Array(taps * input.channels);
    for (let channel = 0; channel < input.channels; channel++) {
      const slice = kernel.slices[channel] ?? kernel.slices[0];
      for (let at = 0; at < taps; at++) applied[at * input.channels + channel] = slice[flip ? taps - 1 - at : at];
    }
    return { name: "output", kind: "conv", input: input.data, inputName: input.name, channels: input.channels, filters: 1, filter: 0, numbers: true,
      rows: axis(input.rows, kernel.rows, stride, dilation, padding), columns: axis(input.columns, kernel.columns, stride, dilation, padding),
      kernel: applied, bias: [Math.fround(bias)], activation, labels: null, channelNames: input.channels === 3 ? CHANNELS : null,
      flipped: flip, kernelNote: flip ? "The kernel is turned by 180°, as convolution is defined" : "",
      edit: { input: this.state.input === "numbers" && ((at, value) => this.typedInput(at, value)), kernel: (at, value) => this.typedKernel(at, value, input.channels) } };
  }

  pooling() {
    const { mode, global, height, width, stride, padding } = this.state;
    const input = this.input();
    const along = (n, k) => (global ? axis(n, n, 1, 1, "valid") : axis(n, k, stride, 1, padding));
    return { name: "output", kind: "pool", mode, input: input.data, inputName: input.name, channels: input.channels, filters: input.channels,
      filter: Math.min(this.state.map, input.channels - 1), numbers: true, rows: along(input.rows, height), columns: along(input.columns, width),
      activation: "linear", labels: null, edit: { input: this.state.input === "numbers" && ((at, value) => this.typedInput(at, value)) } };
  }

  // What does not fit, and which number to change: a sentence for rows, columns or both. Only without padding can that be.
  impossible(layer) {
    const what = this.kind === "conv" ? "kernel" : "window";
    return [["row", layer.rows], ["column", layer.columns]].filter(([, { out }]) => out < 1).map(([name, { n, k, d, span }]) => {
      const of = (count) => `${count} ${name}${count === 1 ? "" : "s"}`;
      const ways = [`a ${what} of at most ${of(Math.floor((n - 1) / d) + 1)}`];
      if (d > 1 && k <= n) ways.push(`dilation ${Math.max(1, Math.floor((n - 1) / (k - 1)))}`);
      if (this.state.input === "numbers" && span <= LIMITS.rows[1]) ways.push(`an input of ${of(span)}`);
      ways.push(PADDINGS[this.kind].slice(1).map((padding) => `padding ${padding}`).join(" or "));
      return `The ${what} spans ${of(span)}${d > 1 ? ` (${k} taps, ${d} apart)` : ""}, the input has ${n}. Choose ${ways.slice(0, -1).join(", ")} or ${ways.at(-1)}.`;
    });
  }

  compute(layer) {
    const signed = layer.input.some((value) => value < 0);
    const picture = this.state.input !== "numbers";
    if (layer.kind === "conv") {
      layer.pre_activation = convolve(layer);
      layer.output = layer.activation === "linear" ? layer.pre_activation : layer.pre_activation.map((z) => ACTIVATIONS[layer.activation].of(z));
    } else layer.output = layer.pre_activation = pool(layer);
    const input = picture ? { name: "grey", low: 0, high: 1 } : scaleFor(signed ? "diverging" : "sequential", layer.input);
    layer.scales = {
      input, output: layer.kind === "pool" ? input : layerScale(layer, layer.output), pre: layerScale(layer, layer.pre_activation, "pre_activation"),
      channels: layer.channels === 3 ? CHANNELS.map((name) => ({ name, low: 0, high: 1 })) : undefined,
    };
    if (layer.kind === "pool" && layer.channels === 3) layer.scales.output = layer.scales.channels[layer.filter];
    if (layer.kind === "conv") {
      Object.assign(layer.scales, { kernel: scaleFor("diverging", layer.kernel), ...termScales(layer) });
    }
  }

  facts(layer) {
    const { rows, columns, kind, channels } = layer;
    const facts = [{ caption: "Rows of the output", formulas: sizeFormula(rows, kind) }, { caption: "Columns of the output", formulas: sizeFormula(columns, kind).slice(1) }];
    if (kind === "conv") facts.push({ caption: "Parameters", formulas: parametersFormula(kind, `(${rows.k}·${columns.k}·${channels} + 1)·1`, rows.k * columns.k * channels + 1) });
    return facts;
  }

  typedInput(at, value) {
    const { numbers } = this.state;
    const slice = numbers.slices[0].slice();
    slice[at] = value;
    this.change({ numbers: { ...numbers, slices: [slice] } });
  }

  typedKernel(at, value, channels) {
    const { kernel, flip } = this.state;
    const taps = kernel.rows * kernel.columns;
    const [tap, channel] = [Math.floor(at / channels), at % channels];
    const slices = range(Math.max(channels, kernel.slices.length)).map((one) => (kernel.slices[one] ?? kernel.slices[0]).slice());
    slices[channel][flip ? taps - 1 - tap : tap] = value;
    this.change({ kernel: { ...kernel, slices } });
  }

  // Numbers of another size: what is there stays, zeros are added.
  resized({ rows, columns, slices }, height, width) {
    return { rows: height, columns: width, slices: slices.map((slice) => Float32Array.from({ length: height * width }, (_, at) => {
      const [row, column] = [Math.floor(at / width), at % width];
      return row < rows && column < columns ? slice[row * columns + column] : 0;
    })) };
  }

  kernelName() {
    return [...this.known].find(([, kernel]) => sameGrid(this.state.kernel, kernel))?.[0] ?? "";
  }

  // [ and ]: the next kernel; for pooling the other kind.
  turn(by) {
    if (this.kind === "pool") return this.change({ mode: this.state.mode === "max" ? "average" : "max" });
    const names = [...this.known.keys()];
    const at = names.indexOf(this.kernelName());
    this.change({ kernel: this.known.get(names[(Math.max(at, by < 0 ? 0 : -1) + by + names.length) % names.length]) });
  }

  // Which input the controls belong to has changed: build them anew. `fill` writes the values into them.
  build() {
    const { header } = this;
    const field = (caption, ...controls) => element("div", { class: "field" }, element("span", { class: "caption" }, caption), ...controls);
    const labelled = (caption, control, note) => element("label", { class: "field" }, element("span", { class: "caption" }, caption, ...(note ? [note] : [])), control);
    const choice = (name, options, change) => (this[name] = element("select", { "data-setting": name, onchange: (event) => change(event.target.value) }, ...options.map(([value, title]) => element("option", { value }, title))));
    const count = (name, label, change) => {
      const [low, high] = LIMITS[name];
      const box = element("input", { type: "number", min: low, max: high, step: 1, "aria-label": label, "data-setting": name,
        // While 12 is typed there is a 1 first: sizes start from what was there before.
        onfocus: () => (this.base = this.state), onblur: () => this.update(),
        oninput: () => {
          const value = Number(box.value);
          const good = box.value !== "" && Number.isInteger(value) && value >= low && value <= high;
          box.setAttribute("aria-invalid", String(!good));
          if (good) change(value);
          else this.say([`${label}: a whole number from ${low} to ${high}.`]);
        } });
      return (this[name] = box);
    };
    const slider = (name, caption, step = 1) => {
      const [low, high] = LIMITS[name];
      const value = element("span", { class: "value" });
      const box = element("input", { type: "range", min: low, max: high, step, "data-setting": name, "aria-label": caption, oninput: () => this.change({ [name]: Number(box.value) }) });
      this[name] = { set value(now) { box.value = now; value.textContent = String(now).replace("-", "−"); } };
      return labelled(caption, box, value);
    };
    const tick = (name, caption) => {
      const box = (this[name] = element("input", { type: "checkbox", "data-setting": name, onchange: () => this.change({ [name]: box.checked }) }));
      return element("label", { class: "tick" }, box, caption);
    };
    const radios = (name, options) => {
      const boxes = options.map(([value, title]) => element("label", {}, element("input", { type: "radio", name: `${this.kind}-${name}`, value, onchange: () => this.change({ [name]: value }) }), element("span", {}, title)));
      this[name] = { set value(now) { for (const box of boxes) box.firstChild.checked = box.firstChild.value === now; } };
      return element("fieldset", { "data-setting": name, "aria-label": name }, ...boxes);
    };
    const keys = (does) => element("span", {}, element("kbd", {}, "["), " ", element("kbd", {}, "]"), ` ${does}`);
    const pictures = header.pictures.map(({ name, title }) => [name, title]);
    const own = [labelled("Input", choice("input_", [["numbers", "numbers of your own"], ...pictures], (input) => this.change({ input })))];
    this.sizes = field("Rows × columns", element("div", { class: "pair" }, count("rows", "Rows of the input", (rows) => this.change({ numbers: this.resized(this.base.numbers, rows, this.base.numbers.columns) })), "×",
      count("columns", "Columns of the input", (columns) => this.change({ numbers: this.resized(this.base.numbers, this.base.numbers.rows, columns) }))),
    element("div", { class: "pair" }, this.filler("1, 2, 3 …", (at) => at + 1), this.filler("random", () => Math.floor(Math.random() * 10)), this.filler("zeros", () => 0)));
    this.greyTick = tick("grey", "in grey");
    own.push(this.sizes, this.greyTick);
    const padding = field("Padding", radios("padding", PADDINGS[this.kind].map((name) => [name, name])));
    if (this.kind === "conv") {
      const size = (name, label) => count(name, label, (value) => this.change({ kernel: this.resized(this.base.kernel, name === "height" ? value : this.base.kernel.rows, name === "width" ? value : this.base.kernel.columns) }));
      own.push(labelled("Kernel", choice("kernel_", [["", "one of your own"], ...[...this.known.keys()].map((name) => [name, name]), ["random", "random"]], (name) => this.chooseKernel(name)), keys("the next")),
        field("Rows × columns", element("div", { class: "pair" }, size("height", "Rows of the kernel"), "×", size("width", "Columns of the kernel"))),
        slider("stride", "Stride"), padding, slider("dilation", "Dilation"), slider("bias", "Bias", 0.1),
        labelled("Activation", choice("activation_", Object.entries(ACTIVATIONS).map(([name, { title }]) => [name, title]), (activation) => this.change({ activation }))),
        tick("flip", "true convolution (flip the kernel)"));
    } else {
      this.mapField = labelled("Map", choice("map_", CHANNELS.map((name, at) => [at, name]), (map) => this.change({ map: Number(map) })));
      this.windowField = field("Window, rows × columns", element("div", { class: "pair" }, count("height", "Rows of the window", (height) => this.change({ height })), "×", count("width", "Columns of the window", (width) => this.change({ width }))));
      this.strideField = slider("stride", "Stride");
      this.paddingField = padding;
      own.push(element("div", { class: "field" }, element("span", { class: "caption" }, "Pooling", keys("the other")), radios("mode", [["max", "max"], ["average", "average"]])), this.mapField, tick("global", "global: the window is the whole map"), this.windowField, this.strideField, padding);
    }
    const act = (action, title) => (this[`${action}Button`] = element("button", { type: "button", "data-action": action, onclick: () => this[action]() }, title));
    own.push(element("div", { class: "pair" }, act("undo", "Undo"), act("redo", "Redo"), act("reset", "Start over")));
    this.form.replaceChildren(...own);
  }

  filler(title, valueAt) {
    return element("button", { type: "button", onclick: () => {
      const { numbers } = this.state;
      this.change({ numbers: { ...numbers, slices: [numbers.slices[0].map((_, at) => valueAt(at))] } });
    } }, title);
  }

  reset() {
    this.change(START[this.kind]());
  }

  chooseKernel(name) {
    const { rows, columns } = this.state.kernel;
    if (name === "random") {
      const slices = range(this.input().channels).map(() => Float32Array.from({ length: rows * columns }, () => Math.round((Math.random() * 2 - 1) * 100) / 100));
      this.change({ kernel: { rows, columns, slices } });
    } else if (name) this.change({ kernel: this.known.get(name) });
    else this.fill();
  }

  // The settings, written into the controls that nobody is just typing in.
  fill() {
    const { state } = this;
    const root = this.form.getRootNode();
    const write = (box, value) => {
      if (root.activeElement === box && box.type === "number") return;
      box.value = value;
      box.removeAttribute("aria-invalid");
    };
    this.input_.value = state.input;
    const numbers = state.input === "numbers";
    this.sizes.hidden = !numbers;
    this.greyTick.hidden = this.header.arrays[`picture/${state.input}`]?.shape[2] !== 3;
    this.grey.checked = state.grey;
    write(this.rows, state.numbers.rows);
    write(this.columns, state.numbers.columns);
    this.padding.value = state.padding;
    this.stride.value = state.stride;
    if (this.kind === "conv") {
      this.kernel_.value = this.kernelName();
      write(this.height, state.kernel.rows);
      write(this.width, state.kernel.columns);
      for (const name of ["dilation", "bias"]) this[name].value = state[name];
      this.activation_.value = state.activation;
      this.flip.checked = state.flip;
    } else {
      this.mode.value = state.mode;
      this.global.checked = state.global;
      write(this.height, state.height);
      write(this.width, state.width);
      this.map_.value = state.map;
      this.mapField.hidden = this.input().channels === 1;
      for (const field of [this.windowField, this.strideField, this.paddingField]) field.hidden = state.global;
    }
    this.undoButton.disabled = !this.past.length;
    this.redoButton.disabled = !this.future.length;
  }

  moved() {
    this.partials?.forEach(({ outline }) => outline());
    this.keep();
  }

  // Everything that was chosen, as the address names it.
  address() {
    const { stage, cell } = this.stepper;
    return { ...writeSettings(this.kind, this.state), cell: stage && cell > 0 ? `${Math.floor(cell / stage.across)},${cell % stage.across}` : null };
  }

  keep() {
    this.keeping ??= setTimeout(() => {
      this.keeping = null;
      writeAddress(this.address());
    }, ADDRESS_MS);
  }

  showMore(layer) {
    if (this.kind === "pool") return this.showShift(layer);
    this.partials = null;
    this.more.replaceChildren();
    if (layer.channels > 1) this.showPartials(layer);
  }

  // One map for each channel, and their sum: why three channels give one map.
  showPartials(layer) {
    const { rows, columns, channels } = layer;
    const maps = range(channels).map((channel) => convolve({ ...layer, bias: [0], kernel: layer.kernel.map((weight, at) => (at % channels === channel ? weight : 0)) }));
    const scale = scaleFor("diverging", [...maps, layer.pre_activation].map((values) => values.reduce((a, b) => Math.max(a, Math.abs(b)), 0)));
    const bar = legendBar();
    bar.show(scale);
    this.partials = [...maps, layer.pre_activation].map((values, at) => {
      const view = new MapView({ rows: rows.out, columns: columns.out, label: `partial ${at}` });
      view.paint(scale, (i) => values[i]);
      view.tell(this.tip, (i) => `${CHANNELS[at] ?? "sum"} · ${place(Math.floor(i / columns.out), i % columns.out)}`);
      return { view, outline: () => view.outline(Math.floor(this.stepper.cell / columns.out), this.stepper.cell % columns.out) };
    });
    const signs = ["+", "+", `+ ${compact(layer.bias[0])} =`];
    const figures = this.partials.flatMap(({ view }, at) => [section("grid", CHANNELS[at] ?? "their sum: one map", view.box), ...(signs[at] ? [operator(signs[at])] : [])]);
    this.more.replaceChildren(element("h4", {}, "Each channel is slid over with its own slice of the kernel; the three results are added, cell by cell, into one map"), element("div", { class: "partials" }, ...figures), bar.box);
    this.partials.forEach(({ outline }) => outline());
  }

  // The input moved by some pixels, and how little of that is left after pooling.
  showShift(layer) {
    const { shift } = this.state;
    const { rows, columns, channels, input, filter } = layer;
    const moved = input.map((_, at) => {
      const column = Math.floor(at / channels) % columns.n;
      return column >= shift ? input[at - shift * channels] : 0;
    });
    const pooled = pool({ ...layer, input: moved });
    const difference = (a, b) => {
      const changed = a.reduce((count, value, at) => count + (value !== b[at]), 0);
      const size = a.reduce((sum, value) => sum + Math.abs(value), 0);
      const by = a.reduce((sum, value, at) => sum + Math.abs(value - b[at]), 0);
      return { changed, of: a.length, share: size ? by / size : 0 };
    };
    const [before, after] = [difference(input, moved), difference(layer.output, pooled)];
    const map = (name, values, height, width, scale) => {
      const view = new MapView({ rows: height, columns: width, numbers: numbered(height, width), label: `shift: ${name}` });
      view.paint(scale, (at) => values[at * channels + filter]);
      view.tell(this.tip, (at) => `${name} · ${place(Math.floor(at / width), at % width)}`);
      return section("grid", name, view.box);
    };
    const scale = layer.scales.channels?.[filter] ?? layer.scales.input;
    const words = ({ changed, of, share }) => element("p", {}, element("b", {}, `${changed} of ${of}`), ` cells differ, on average by `, element("b", {}, `${(share * 100).toFixed(0)} %`), " of the values.");
    const bytes = (count) => `${(count * 4).toLocaleString("en")} bytes`;
    const slider = this.shiftSlider ??= element("input", { type: "range", min: LIMITS.shift[0], max: LIMITS.shift[1], step: 1, "data-setting": "shift", "aria-label": "Shift in pixels", oninput: () => this.change({ shift: Number(slider.value) }) });
    slider.value = shift;
    this.shiftText ??= element("span");
    this.shiftText.textContent = `${shift} pixel${shift === 1 ? "" : "s"} to the right`;
    if (!this.shiftBox) {
      this.shiftBox = element("div", { class: "shifted" });
      this.more.replaceChildren(element("h4", {}, "Shift by a pixel"), element("label", { class: "field" }, slider, this.shiftText), this.shiftBox);
    }
    this.shiftBox.replaceChildren(
      element("div", { class: "side" }, map("input", input, rows.n, columns.n, scale), map("input, shifted", moved, rows.n, columns.n, scale), element("div", { "data-role": "before" }, words(before), element("p", { class: "small" }, bytes(input.length)))),
      element("div", { class: "side" }, map("pooled", layer.output, rows.out, columns.out, scale), map("pooled, shifted", pooled, rows.out, columns.out, scale), element("div", { "data-role": "after" }, words(after),
        element("p", { class: "small" }, `${bytes(layer.output.length)}: ${((layer.output.length / input.length) * 100).toFixed(0)} % of what went in. ${layer.output.length < input.length ? "The rest is thrown away, and with it where" : "Thrown away is where"} in its window a number stood.`))));
  }
}
