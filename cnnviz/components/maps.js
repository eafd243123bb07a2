// A grid of numbers in colour: a feature map, a patch, a kernel. It can show the numbers themselves, take new ones,
// draw padding as what it is, carry a sliding window and outline a cell.

// A browser takes a millisecond to show a canvas that is new. Where there are dozens, pictures are quicker.
const scratch = document.createElement("canvas");
function stillPicture(picture) {
  [scratch.width, scratch.height] = [picture.width, picture.height];
  scratch.getContext("2d").putImageData(picture, 0, 0);
  return `url(${scratch.toDataURL()})`;
}

class MapView {
  // rows, columns: the numbers. pad: {top, left, bottom, right}, cells of padding around them; zeros: whether those
  // count as 0. numbers: whether each cell shows its number. edit(at, value): called with what somebody types.
  // still: it is one of many and seldom painted.
  constructor({ rows, columns, count = rows * columns, pad = { top: 0, left: 0, bottom: 0, right: 0 }, zeros = false, numbers = false, edit = null, still = false, label = "" }) {
    Object.assign(this, { rows, columns, count, pad, zeros, edit, still, label });
    this.height = rows + pad.top + pad.bottom;
    this.width = columns + pad.left + pad.right;
    this.face = element(still ? "div" : "canvas", { class: "face", width: this.width, height: this.height });
    const padded = this.height > rows || this.width > columns;
    this.box = element("div", { class: `mapview${padded ? " padded" : ""}${numbers ? " numbered" : ""}`, style: `--rows: ${this.height}; --columns: ${this.width}`, "data-map": label || null }, this.face);
    this.texts = [];
    if (numbers) this.addNumbers();
    this.picture = new ImageData(this.width, this.height);
    this.pixels = new Uint32Array(this.picture.data.buffer);
  }

  addNumbers() {
    const grid = element("div", { class: "numbers", "aria-hidden": this.edit ? null : "true" });
    for (let y = 0; y < this.height; y++) {
      for (let x = 0; x < this.width; x++) {
        const at = this.index(y - this.pad.top, x - this.pad.left);
        const name = `${this.label} row ${y - this.pad.top}, column ${x - this.pad.left}`;
        const cell = at >= 0 && this.edit
          ? element("input", { inputmode: "decimal", autocomplete: "off", "aria-label": name, maxlength: "12",
            onfocus: (event) => this.expand(at, event.target), oninput: (event) => this.typed(at, event.target), onblur: () => this.repaint() })
          : element("span", { class: at >= 0 ? null : "pad" });
        if (at >= 0) this.texts[at] = cell;
        else cell.textContent = this.zeros && this.count === this.rows * this.columns ? "0" : "";
        grid.append(cell);
      }
    }
    this.box.append(grid);
  }

  // While a cell is edited it shows its number to the last digit.
  expand(at, input) {
    input.value = exact(this.valueAt(at));
    input.select();
  }

  // What somebody typed in a cell; what is no number is marked and not taken.
  typed(at, input) {
    const value = Number(input.value.trim().replace("−", "-").replace(",", "."));
    const good = input.value.trim() !== "" && Number.isFinite(value) && Math.abs(value) <= 1e6;
    input.setAttribute("aria-invalid", String(!good));
    if (good) this.edit(at, value);
  }

  // Where a cell's number lies in the values; -1 in the padding or past the last one.
  index(row, column) {
    const at = row * this.columns + column;
    return row < 0 || row >= this.rows || column < 0 || column >= this.columns || at >= this.count ? -1 : at;
  }

  // valueAt(i): a number, or undefined for a cell that has none. Cells from `until` on are only hinted at.
  paint(scale, valueAt, until = Infinity) {
    Object.assign(this, { scale, valueAt, until });
    const table = TABLES[scale.name];
    const factor = 255 / (scale.high - scale.low);
    for (let at = 0; at < this.count; at++) {
      const value = valueAt(at);
      const shade = Math.max(0, Math.min(255, Math.round((value - scale.low) * factor)));
      const pixel = (Math.floor(at / this.columns) + this.pad.top) * this.width + (at % this.columns) + this.pad.left;
      this.pixels[pixel] = value === undefined ? 0 : at < until ? table[shade] : (table[shade] & 0x00ffffff) | (0x38 << 24);
      const text = this.texts[at];
      if (text) this.write(text, value, at < until, shade);
    }
    if (this.still) this.face.style.backgroundImage = stillPicture(this.picture);
    else this.face.getContext("2d").putImageData(this.picture, 0, 0);
  }

  // A colour picture: red, green and blue of a cell in [0, 1], one behind the other in `values`.
  paintColours(values) {
    this.spell = (at) => CHANNELS.map((name, channel) => `${name} ${exact(values[at * 3 + channel])}`).join(" · ");
    this.picture = colourPicture(values, this.width, this.height);
    this.face.getContext("2d").putImageData(this.picture, 0, 0);
  }

  // The number of a cell to its last digit; null where it has none.
  spell(at) {
    const value = this.valueAt(at);
    return value === undefined ? null : exact(Math.fround(value));
  }

  repaint() {
    this.paint(this.scale, this.valueAt, this.until);
  }

  write(cell, value, lit, shade) {
    const words = value === undefined ? "" : compact(value);
    if (this.edit) {
      if (cell.getRootNode().activeElement !== cell) {
        cell.value = words;
        cell.removeAttribute("aria-invalid");
      }
    } else if (cell.firstChild === null || cell.firstChild.data !== words) cell.textContent = words;
    const look = `${lit ? "" : "unlit "}${words.length > 5 ? "long " : ""}${dark(this.scale.name, shade) ? "pale" : ""}`;
    if (cell.className !== look) cell.className = look;
  }

  // The window: rows x columns taps, `dilation` apart. Moved by `slide`, in cells of the numbers (padding is negative).
  addWindow(rows, columns, dilation) {
    const [height, width] = [dilation * (rows - 1) + 1, dilation * (columns - 1) + 1];
    this.span = { height, width, dilation };
    this.window = element("div", { class: "window", style: `width: ${(100 * width) / this.width}%; height: ${(100 * height) / this.height}%` });
    if (dilation > 1) {
      const taps = svgElement("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none" });
      for (let i = 0; i < rows * columns; i++) taps.append(svgElement("rect", { x: (i % columns) * dilation, y: Math.floor(i / columns) * dilation, width: 1, height: 1 }));
      this.window.append(taps);
    }
    this.box.append(this.window);
  }

  slide(row, column) {
    this.corner = [row, column];
    this.window.style.transform = `translate(${(100 * (column + this.pad.left)) / this.span.width}%, ${(100 * (row + this.pad.top)) / this.span.height}%)`;
  }

  // A ring around one cell, or around height x width of them.
  outline(row, column, height = 1, width = 1) {
    this.ring ??= this.box.appendChild(element("div", { class: "ring" }));
    this.ringed = [row, column, height, width];
    this.ring.style.width = `${(100 * width) / this.width}%`;
    this.ring.style.height = `${(100 * height) / this.height}%`;
    this.ring.style.transform = `translate(${(100 * (column + this.pad.left)) / width}%, ${(100 * (row + this.pad.top)) / height}%)`;
  }

  // Tint the cells for which lit(row, column) holds; none without it.
  tint(lit = null) {
    this.tinted?.remove();
    if (!lit) return;
    let path = "";
    for (let row = 0; row < this.rows; row++) {
      for (let column = 0; column < this.columns; column++) {
        if (lit(row, column)) path += `M${column + this.pad.left},${row + this.pad.top}h1v1h-1z`;
      }
    }
    this.tinted = svgElement("svg", { class: "tint", viewBox: `0 0 ${this.width} ${this.height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    this.tinted.append(svgElement("path", { d: path }));
    this.box.append(this.tinted);
  }

  // The cell under a pointer: {row, column, at}; at is -1 in the padding.
  under(event) {
    const box = this.face.getBoundingClientRect();
    const place = (value, start, size, count) => Math.max(0, Math.min(count - 1, Math.floor(((value - start) / size) * count)));
    const row = place(event.clientY, box.top, box.height, this.height) - this.pad.top;
    const column = place(event.clientX, box.left, box.width, this.width) - this.pad.left;
    return { row, column, at: this.index(row, column) };
  }

  // Show the exact number under the pointer. where(at): words for the place.
  tell(tip, where) {
    const show = (event) => {
      const { row, column, at } = this.under(event);
      const padding = row < 0 || row >= this.rows || column < 0 || column >= this.columns;
      const number = at < 0 ? null : this.spell(at);
      if (padding) tip.show(event, "padding", this.zeros ? "0" : "does not count");
      else if (number === null) tip.hide();
      else tip.show(event, where(at), number);
    };
    this.box.addEventListener("pointermove", show);
    this.box.addEventListener("pointerdown", show);
    this.box.addEventListener("pointerleave", () => tip.hide());
  }
}

// A bar from the lowest to the highest colour with its two numbers.
function legendBar() {
  const [low, high, canvas] = [element("span"), element("span"), element("canvas")];
  const box = element("div", { class: "legend", "aria-hidden": "true" }, low, canvas, high);
  return { box, show: (scale) => {
    low.textContent = short(scale.low);
    high.textContent = short(scale.high);
    paintGrid(canvas, 64, 1, scale, (i) => scale.low + ((scale.high - scale.low) * i) / 63);
  } };
}
