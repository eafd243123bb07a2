// Many small maps on one canvas: a browser takes a millisecond to show a canvas, and a layer may have a hundred maps.
const EDGE = 0xb0808080; // around kernels: grey that shows beside a weight of 0 on both themes

class Sheet {
  // count maps of rows x columns numbers, `across` of them in a line. zoom: pixels of the canvas along a number.
  constructor(count, rows, columns, across, zoom = columns < 10 ? 2 : 1) {
    const gap = count > 1 ? Math.max(1, Math.round((columns * zoom) / 14)) : 0;
    Object.assign(this, { count, rows, columns, across, zoom, high: rows * zoom + gap, wide: columns * zoom + gap });
    this.width = across * this.wide - gap;
    this.height = Math.ceil(count / across) * this.high - gap;
    this.canvas = element("canvas", { width: this.width, height: this.height });
  }

  // The pixel where a map begins: [x, y].
  corner(map) {
    return [(map % this.across) * this.wide, Math.floor(map / this.across) * this.high];
  }

  // The same for what is laid over it, as CSS.
  place(map) {
    const [x, y] = this.corner(map);
    return `left: ${(100 * x) / this.width}%; top: ${(100 * y) / this.height}%; width: ${(100 * this.columns * this.zoom) / this.width}%; height: ${(100 * this.rows * this.zoom) / this.height}%`;
  }

  // valueAt(map, i): a number. scaleOf(map): the scale of its colours. edge: the colour around each map, if any.
  paint(scaleOf, valueAt, edge = 0) {
    const gap = this.high - this.rows * this.zoom;
    const picture = new ImageData(this.width, this.height);
    const pixels = new Uint32Array(picture.data.buffer);
    for (let map = 0; map < this.count; map++) {
      const [x, y] = this.corner(map);
      const scale = scaleOf(map);
      const table = TABLES[scale.name];
      const factor = 255 / (scale.high - scale.low);
      for (let line = Math.max(0, y - gap); edge && line < Math.min(this.height, y + this.high); line++) {
        pixels.fill(edge, line * this.width + Math.max(0, x - gap), line * this.width + Math.min(this.width, x + this.wide));
      }
      for (let i = 0; i < this.rows * this.columns; i++) {
        const colour = table[Math.max(0, Math.min(255, Math.round((valueAt(map, i) - scale.low) * factor)))];
        const first = (y + Math.floor(i / this.columns) * this.zoom) * this.width + x + (i % this.columns) * this.zoom;
        for (let line = 0; line < this.zoom; line++) pixels.fill(colour, first + line * this.width, first + line * this.width + this.zoom);
      }
    }
    this.canvas.getContext("2d").putImageData(picture, 0, 0);
  }

  // With fewer pixels on the screen than it has: an even picture is truer than one that leaves out lines.
  fit() {
    this.canvas.classList.toggle("shrunk", this.canvas.clientWidth * devicePixelRatio < this.width);
  }

  // The map and its cell at a pixel of the canvas; null between the maps.
  at(y, x) {
    const [row, column] = [y % this.high, x % this.wide].map((pixel) => Math.floor(pixel / this.zoom));
    const map = Math.floor(y / this.high) * this.across + Math.floor(x / this.wide);
    return row < this.rows && column < this.columns && map < this.count ? { map, row, column } : null;
  }
}
