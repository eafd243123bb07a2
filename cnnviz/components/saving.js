// What is on the stage, drawn for a slide: as a PNG at twice the size, or sliding over the whole map as a GIF.

const SLIDE = { width: 960, height: 440 };
const ANIMATION = { width: 720, height: 330, delay: 80, bytes: 1_950_000 }; // milliseconds a cell; a GIF stays under 2 MB

class Saving {
  constructor(stepper) {
    this.stepper = stepper;
    this.animation = element("button", { type: "button", "data-action": "save-animation", onclick: () => this.saveAnimation() }, "Save as animation");
    this.progress = element("progress", { max: 1, value: 0, "aria-label": "Making the animation" });
    this.words = element("span", { class: "small" });
    this.stop = element("button", { type: "button", onclick: () => this.cancel() }, "Cancel");
    this.going = element("span", { class: "going" }, this.progress, this.words, this.stop);
    this.going.hidden = true;
    this.box = element("div", { class: "saving" },
      element("button", { type: "button", "data-action": "save-picture", onclick: () => this.savePicture() }, "Save picture"), this.animation, this.going);
  }

  // The sliding is there for layers that slide.
  fit({ layer, cells }) {
    this.animation.hidden = !layer.rows || cells < 2;
  }

  // cnnviz-conv1-filter-2-row-10-column-4
  name() {
    const { layer, filter, cell, stage } = this.stepper;
    return ["cnnviz", layer.name, ...filterWords(layer, filter), cellName(layer, stage, cell)].join("-").replace(/[^\w]+/g, "-");
  }

  savePicture() {
    const canvas = element("canvas", { width: SLIDE.width * 2, height: SLIDE.height * 2 });
    drawSlide(canvas, this.stepper, SLIDE);
    canvas.toBlob((blob) => save(blob, `${this.name()}.png`));
  }

  cancel() {
    this.job = null;
    this.going.hidden = true;
    this.animation.disabled = false;
  }

  // In slices of a frame, so that the page goes on; thinned out where all cells would be too much for 2 MB.
  async saveAnimation() {
    const { stepper } = this;
    const { layer, filter, context } = stepper;
    const name = `${this.name()}.gif`;
    const job = (this.job = {});
    this.animation.disabled = true;
    this.going.hidden = false;
    // A stage of its own: the one on the page can be used meanwhile.
    const stage = new STAGES[layer.kind](layer, filter, { ...context, jump: () => {}, tip: new Tip(element("div")) });
    const shown = { layer, filter, stage, theme: stepper.box };
    let every = 1;
    while (every < stage.cells) {
      const { bytes, share } = await this.encode(job, shown, every);
      if (this.job !== job) return;
      if (bytes) {
        save(new Blob([bytes], { type: "image/gif" }), name);
        break;
      }
      every = Math.ceil(every * Math.max(share, 1.3));
    }
    this.cancel();
  }

  // The GIF with every n-th cell as bytes; where it would become too large, how many times too large as share.
  async encode(job, shown, every) {
    const began = performance.now();
    const { width, height, delay, bytes: most } = ANIMATION;
    const canvas = element("canvas", { width, height });
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    const picture = (cell) => {
      shown.stage.show(cell);
      shown.stage.phase(1);
      drawSlide(canvas, { ...shown, cell }, ANIMATION);
      return pen.getImageData(0, 0, width, height).data;
    };
    const cells = range(Math.ceil(shown.stage.cells / every)).map((at) => Math.min(at * every + every - 1, shown.stage.cells - 1));
    const samples = [cells[0], cells[cells.length >> 1], cells.at(-1)].map(picture);
    const all = new Uint8ClampedArray(samples.length * samples[0].length);
    samples.forEach((sample, at) => all.set(sample, at * sample.length));
    const palette = gifenc.quantize(all, 255);
    const clear = palette.length; // one more colour: what has not changed
    palette.push([255, 0, 255]);
    const gif = gifenc.GIFEncoder();
    let before = null;
    let rest = performance.now();
    for (const [at, cell] of cells.entries()) {
      const index = gifenc.applyPalette(picture(cell), palette.slice(0, clear));
      const changed = before ? index.map((colour, i) => (colour === before[i] ? clear : colour)) : index;
      gif.writeFrame(changed, width, height, { palette: at ? undefined : palette, transparent: Boolean(before), transparentIndex: clear, dispose: 1,
        delay: at === cells.length - 1 ? 2000 : delay * Math.min(every, 4) });
      before = index;
      const bytes = gif.bytesView().length;
      const share = ((bytes / (at + 1)) * cells.length) / most;
      if (bytes > most || (at > 10 && at < cells.length / 2 && share > 1.15)) return { share };
      if (performance.now() - rest > 12) {
        const done = (at + 1) / cells.length;
        const left = ((performance.now() - began) / 1000) * (1 / done - 1);
        this.progress.value = done;
        this.words.textContent = `${Math.round(done * 100)} %, ${Math.ceil(left)} s left`;
        await new Promise((resume) => setTimeout(resume));
        if (this.job !== job) return {};
        rest = performance.now();
      }
    }
    gif.finish();
    return { bytes: gif.bytes() };
  }
}

const filterWords = (layer, filter) => (layer.rows && layer.filters > 1 ? [`filter ${filter}`] : []);

// Draw title, blocks in a row and the sum on a canvas.
function drawSlide(canvas, { layer, filter, stage, cell, box, theme = box }, { width, height }) {
  const style = getComputedStyle(theme);
  const [ink, paper, accent] = ["--st-text-color", "--st-background-color", "--look"].map((name) => style.getPropertyValue(name).trim());
  const pen = canvas.getContext("2d");
  const zoom = canvas.width / width;
  const font = (size, weight = 400) => `${weight} ${size}px ${style.fontFamily}`;
  pen.setTransform(zoom, 0, 0, zoom, 0, 0);
  pen.fillStyle = paper;
  pen.fillRect(0, 0, width, height);
  pen.fillStyle = ink;
  pen.textBaseline = "alphabetic";
  const margin = width / 32;
  const unit = width / 960;
  pen.font = font(24 * unit, 650);
  pen.fillText(`${layer.name} · ${[...filterWords(layer, filter), cellName(layer, stage, cell)].join(" · ")}`, margin, margin + 16 * unit, width - 2 * margin);
  const blocks = stage.picture();
  const gap = 14 * unit;
  const share = ({ sign, fall, wide, view }) => (sign ? 0.18 : fall ? 2.4 : wide ? 2.6 : view.rows * view.columns <= 49 && !layer.numbers ? 0.72 : 1);
  const room = width - 2 * margin - gap * (blocks.length - 1);
  const each = Math.min(room / blocks.reduce((sum, block) => sum + share(block), 0), height - 190 * unit);
  let x = margin + (room - each * blocks.reduce((sum, block) => sum + share(block), 0)) / 2;
  const middle = height * 0.5;
  for (const block of blocks) {
    const size = each * share(block);
    pen.fillStyle = ink;
    pen.textAlign = "center";
    if (block.sign) {
      pen.font = font(22 * unit, 600);
      pen.fillText(block.sign, x + size / 2, middle + 8 * unit);
    } else if (block.fall) drawFall(pen, block.fall, x, margin + 50 * unit, size, height - 150 * unit, { ink, accent, font, unit });
    else {
      const across = Math.min(size, ((height - 190 * unit) * block.view.width) / block.view.height);
      drawView(pen, block.view, x + (size - across) / 2, middle, across, { ink, accent, font, unit });
      pen.fillStyle = ink;
      pen.font = font(14 * unit);
      pen.fillText(block.caption, x + size / 2, middle + (across * block.view.height) / block.view.width / 2 + 22 * unit, size + gap);
    }
    x += size + gap;
  }
  pen.textAlign = "center";
  pen.fillStyle = ink;
  pen.font = font(20 * unit, 600);
  pen.fillText(stage.words(), width / 2, height - margin, width - 2 * margin);
  pen.textAlign = "left";
}

function drawView(pen, view, x, middle, size, { ink, accent, font, unit }) {
  const cell = size / view.width;
  const y = middle - (cell * view.height) / 2;
  pen.imageSmoothingEnabled = false;
  if (view.height > view.rows || view.width > view.columns) drawHatch(pen, x, y, size, cell * view.height, unit);
  stillPicture(view.picture);
  pen.drawImage(scratch, x, y, size, cell * view.height);
  const at = (row, column) => [x + (column + view.pad.left) * cell, y + (row + view.pad.top) * cell];
  if (view.texts.length && cell > 14 * unit) {
    pen.font = font(Math.min(cell * 0.34, 18 * unit));
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    view.texts.forEach((text, i) => {
      const [left, top] = at(Math.floor(i / view.columns), i % view.columns);
      pen.fillStyle = text.classList.contains("unlit") ? "#888" : text.classList.contains("pale") ? "#fff" : "#111";
      pen.fillText(text.value ?? text.textContent, left + cell / 2, top + cell / 2);
    });
    pen.textBaseline = "alphabetic";
  }
  pen.strokeStyle = pen.fillStyle = accent;
  pen.lineWidth = 3 * unit;
  if (view.corner) {
    const { width, height, dilation } = view.span;
    const [left, top] = at(...view.corner);
    pen.globalAlpha = 0.45;
    for (let row = 0; dilation > 1 && row < height; row += dilation) {
      for (let column = 0; column < width; column += dilation) pen.fillRect(left + column * cell, top + row * cell, cell, cell);
    }
    pen.globalAlpha = 1;
    pen.strokeRect(left, top, width * cell, height * cell);
  }
  if (view.ringed) {
    const [row, column, height, width] = view.ringed;
    pen.strokeRect(...at(row, column), width * cell, height * cell);
  }
  pen.fillStyle = ink;
}

// Padding: oblique lines, as on the page.
function drawHatch(pen, x, y, width, height, unit) {
  pen.save();
  pen.beginPath();
  pen.rect(x, y, width, height);
  pen.clip();
  pen.strokeStyle = "#999";
  pen.lineWidth = unit;
  pen.beginPath();
  for (let from = -height; from < width; from += 5 * unit) {
    pen.moveTo(x + from, y + height);
    pen.lineTo(x + from + height, y);
  }
  pen.stroke();
  pen.restore();
}

function drawFall(pen, { shown, low, high }, x, y, width, height, { ink, accent, font, unit }) {
  const line = Math.min(height / shown.length, 30 * unit);
  const [from, room] = [x + width * 0.42, width * 0.46];
  const place = (value) => from + ((value - low) / (high - low || 1)) * room;
  pen.font = font(line * 0.55);
  shown.forEach((row, at) => {
    const base = y + (at + 0.7) * line;
    pen.fillStyle = ink;
    pen.textAlign = "left";
    pen.fillText(`${row.name}   ${row.terms}`, x, base, width * 0.4);
    pen.fillStyle = row.total ? accent : row.to < row.from ? "#1f62b5" : "#dd7317";
    pen.fillRect(Math.min(place(row.from), place(row.to)), base - line * 0.55, Math.max(Math.abs(place(row.to) - place(row.from)), 1), line * 0.7);
    pen.fillStyle = ink;
    pen.textAlign = "right";
    pen.fillText(short(row.total ? row.to : row.to - row.from), x + width, base);
  });
}
