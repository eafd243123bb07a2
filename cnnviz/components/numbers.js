// Numbers as text.

// The shortest text that stands for this float32 and no other.
function exact(value) {
  for (let digits = 1; digits < 9; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(text) === value) return String(Number(text)).replaceAll("-", "−");
  }
  return String(Number(value.toPrecision(9))).replaceAll("-", "−");
}

function short(value) {
  const text = Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
  return text.replace(/^-(?=[0.]*$)/, "").replace("-", "−");
}

// As short as a cell has room for, and never a digit more than the number has.
function compact(value) {
  const size = Math.abs(value);
  if (size !== 0 && size < 0.0005) return "≈0";
  if (size !== 0 && size < 0.005) return value.toFixed(3).replace("-", "−");
  if (size >= 99999.5) return value.toExponential(0).replace("-", "−").replace("e+", "e");
  const text = size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : value.toFixed(2);
  return (text.includes(".") && Math.fround(Number(text)) === value ? String(Number(text)) : text).replace("-", "−");
}

// Never 100 % or 0 %: no softmax is that sure.
function percent(value) {
  return value > 0.9995 ? "> 99.9 %" : value < 0.0005 ? "< 0.1 %" : `${(value * 100).toFixed(1)} %`;
}

// With a power of ten where it is large or small.
function scientific(value, digits = 3) {
  const power = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)));
  if (power >= -3 && power < 6) return String(Number(value.toPrecision(Math.max(digits, power + 1)))).replace("-", "−");
  const raised = String(power).replace("-", "⁻").replace(/\d/g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]);
  return `${Number((value / 10 ** power).toPrecision(digits))}·10${raised}`;
}
