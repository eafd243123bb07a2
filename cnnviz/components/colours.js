// Colours for numbers. Sequential (viridis) for activations, diverging around zero for weights and pre-activations, both
// safe for colour-blind eyes; the diverging one's ends differ in lightness, so that the sign survives a grey print.
const STOPS = {
  sequential: ["#440154", "#482878", "#3e4a89", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6dcd59", "#b4de2c", "#fde725"],
  diverging: ["#062f6f", "#1f62b5", "#6ba5dc", "#b9d5ec", "#f5f3ee", "#f8d3a5", "#f2a34f", "#dd7317", "#b8500a"],
  grey: ["#000000", "#ffffff"],
  red: ["#000000", "#ff4b3e"],
  green: ["#000000", "#3ecf5a"],
  blue: ["#000000", "#5c8dff"],
};

const CHANNELS = ["red", "green", "blue"]; // of a colour picture, each with a table of its own

// 256 colours, each one Uint32 as a canvas's ImageData holds them.
const TABLES = Object.fromEntries(Object.entries(STOPS).map(([name, stops]) => {
  const rgb = stops.map((stop) => [1, 3, 5].map((i) => parseInt(stop.slice(i, i + 2), 16)));
  const table = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    const place = (i / 255) * (rgb.length - 1);
    const from = Math.min(Math.floor(place), rgb.length - 2);
    const [r, g, b] = [0, 1, 2].map((c) => Math.round(rgb[from][c] + (rgb[from + 1][c] - rgb[from][c]) * (place - from)));
    table[i] = (255 << 24) | (b << 16) | (g << 8) | r;
  }
  return [name, table];
}));

// A scale for some numbers: rounded up to a short number, so that it stays while a drawing grows.
function scaleFor(name, values) {
  let largest = 0;
  for (const value of values) largest = Math.max(largest, Math.abs(value));
  const unit = 10 ** Math.floor(Math.log10(largest || 1));
  const high = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].map((step) => step * unit).find((step) => step >= largest * 0.9999) ?? largest;
  return { name, low: name === "diverging" ? -high : 0, high };
}

// Paint a grid of numbers, one pixel a number, on a canvas that CSS makes larger.
function paintGrid(canvas, width, height, scale, valueAt) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const pen = canvas.getContext("2d");
  const picture = pen.createImageData(width, height);
  const pixels = new Uint32Array(picture.data.buffer);
  const table = TABLES[scale.name];
  const factor = 255 / (scale.high - scale.low);
  for (let i = 0; i < pixels.length; i++) {
    const value = valueAt(i);
    if (value !== undefined) pixels[i] = table[Math.max(0, Math.min(255, Math.round((value - scale.low) * factor)))];
  }
  pen.putImageData(picture, 0, 0);
}

// Red, green and blue in [0, 1], one behind the other for each cell, as a picture; nothing where there is no number.
function colourPicture(values, width, height) {
  const picture = new ImageData(width, height);
  picture.data.fill(255);
  for (let i = 0; i < width * height * 3; i++) {
    picture.data[Math.floor(i / 3) * 4 + (i % 3)] = Math.round(values[i] * 255);
    if (Number.isNaN(values[i])) picture.data[Math.floor(i / 3) * 4 + 3] = 0;
  }
  return picture;
}

// Whether white reads better than black on a colour of a table: by its luminance.
const DARK = Object.fromEntries(Object.entries(TABLES).map(([name, table]) => [name, Array.from(table, (colour) => {
  const linear = [0, 8, 16].map((shift) => (((colour >> shift) & 255) / 255) ** 2.2);
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] < 0.18;
})]));
const dark = (name, shade) => DARK[name][shade];

// The scale of one layer's numbers, the same for all its maps: a photo's grey, probabilities, signed or not.
function layerScale(layer, values, part = "output") {
  if (layer.kind === "input") return { name: "grey", low: 0, high: 1 };
  if (layer.kind === "softmax") return { name: "sequential", low: 0, high: 1 };
  const signed = values.some((value) => value < 0) || (part === "pre_activation" && layer.activation !== "linear");
  return scaleFor(signed ? "diverging" : "sequential", values);
}
