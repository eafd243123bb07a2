// The arithmetic of layers, cell by cell, as cnnviz/arithmetic has it in Python: the browser needs it at every frame.
// Arrays are flat, channels last; kernels [row, column, channel, filter]. Sums are accumulated in 64 bits.

const ACTIVATIONS = {
  linear: { title: "none", of: (z) => z, text: "" },
  relu: { title: "ReLU", of: (z) => Math.max(z, 0), text: "max(0, z)" },
  tanh: { title: "tanh", of: Math.tanh, text: "tanh z" },
  sigmoid: { title: "sigmoid", of: (z) => 1 / (1 + Math.exp(-z)), text: "1 / (1 + e⁻ᶻ)" },
};

// One axis along which a window slides: n inputs, kernel k, stride s, dilation d, padding before and in all, outputs.
// `out` is below 1 where the kernel does not fit.
function axis(n, k, s, d, padding) {
  const span = d * (k - 1) + 1;
  let total = 0;
  if (padding === "same") total = Math.max((Math.ceil(n / s) - 1) * s + span - n, 0);
  if (padding === "full") total = 2 * (span - 1);
  return { n, k, s, d, span, total, before: Math.floor(total / 2), out: Math.floor((n + total - span) / s) + 1 };
}

// The input that tap i of output `index` reads; outside 0..n-1 it is padding.
const position = (axis, index, i) => index * axis.s - axis.before + i * axis.d;

// One channel's share of a cell of a convolution: fills patch and products (row by row), returns their sum.
function convChannel(layer, filter, row, column, channel, patch, products) {
  const { rows, columns, input, kernel, channels, filters } = layer;
  let sum = 0;
  for (let i = 0, at = 0; i < rows.k; i++) {
    const y = position(rows, row, i);
    for (let j = 0; j < columns.k; j++, at++) {
      const x = position(columns, column, j);
      const inside = y >= 0 && y < rows.n && x >= 0 && x < columns.n;
      const value = inside ? input[(y * columns.n + x) * channels + channel] : 0;
      const product = value * kernel[((i * columns.k + j) * channels + channel) * filters + filter];
      sum += product;
      if (patch) {
        patch[at] = value;
        products[at] = product;
      }
    }
  }
  return sum;
}

// The largest product and the largest channel's share among some cells of a convolution, all over its maps: what colour
// scales are made for.
function largestTerms(layer, samples = 200) {
  const { rows, columns, channels, filters } = layer;
  const taps = rows.k * columns.k;
  const [patch, products] = [new Float64Array(taps), new Float64Array(taps)];
  const cells = rows.out * columns.out;
  const largest = { product: 0, sum: 0 };
  for (let sample = 0; sample < samples; sample++) {
    const cell = Math.floor((cells * (sample + 0.5)) / samples);
    for (let channel = 0; channel < channels; channel++) {
      const sum = convChannel(layer, sample % filters, Math.floor(cell / columns.out), cell % columns.out, channel, patch, products);
      largest.sum = Math.max(largest.sum, Math.abs(sum));
      for (const product of products) largest.product = Math.max(largest.product, Math.abs(product));
    }
  }
  return largest;
}

// All outputs of a convolution before the activation function: Float32Array (rows.out, columns.out, filters).
function convolve(layer) {
  const { rows, columns, input, kernel, bias, channels, filters } = layer;
  const sums = new Float64Array(rows.out * columns.out * filters);
  for (let filter = 0; filter < filters; filter++) {
    for (let i = 0; i < rows.k; i++) {
      for (let j = 0; j < columns.k; j++) {
        for (let channel = 0; channel < channels; channel++) {
          const weight = kernel[((i * columns.k + j) * channels + channel) * filters + filter];
          if (weight === 0) continue;
          for (let row = 0; row < rows.out; row++) {
            const y = position(rows, row, i);
            if (y < 0 || y >= rows.n) continue;
            for (let column = 0; column < columns.out; column++) {
              const x = position(columns, column, j);
              if (x < 0 || x >= columns.n) continue;
              sums[(row * columns.out + column) * filters + filter] += weight * input[(y * columns.n + x) * channels + channel];
            }
          }
        }
      }
    }
  }
  return Float32Array.from(sums, (sum, at) => sum + bias[at % filters]);
}

// One cell of a pooling layer. What lies outside the input counts for nothing, as in TensorFlow: it is never the
// maximum and not among those that the mean is taken of. `winner` is the tap that holds the maximum, -1 for a mean.
function poolCell(layer, filter, row, column, patch = []) {
  const { rows, columns, input, channels, mode } = layer;
  let [count, sum, winner, most] = [0, 0, -1, -Infinity];
  for (let i = 0, at = 0; i < rows.k; i++) {
    const y = position(rows, row, i);
    for (let j = 0; j < columns.k; j++, at++) {
      const x = position(columns, column, j);
      patch[at] = undefined;
      if (y < 0 || y >= rows.n || x < 0 || x >= columns.n) continue;
      const value = (patch[at] = input[(y * columns.n + x) * channels + filter]);
      count++;
      sum += value;
      if (value > most) [most, winner] = [value, at];
    }
  }
  return mode === "max" ? { count, sum, winner, output: most } : { count, sum, winner: -1, output: sum / count };
}

function pool(layer) {
  const { rows, columns, channels } = layer;
  const output = new Float32Array(rows.out * columns.out * channels);
  for (let at = 0; at < output.length; at++) {
    const cell = Math.floor(at / channels);
    output[at] = poolCell(layer, at % channels, Math.floor(cell / columns.out), cell % columns.out).output;
  }
  return output;
}

// Which inputs, along one axis, reach output `index` through a chain of axes (the first is the network's input's).
function field(chain, index) {
  let found = new Set([index]);
  for (const axis of [...chain].reverse()) {
    const before = new Set();
    for (const index of found) {
      for (let i = 0; i < axis.k; i++) {
        const at = position(axis, index, i);
        if (at >= 0 && at < axis.n) before.add(at);
      }
    }
    found = before;
  }
  return found;
}
