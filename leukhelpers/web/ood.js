// Is a picture a cell like the training cells? The numbers of leukhelpers/models/ood.py.

const SMALL = 1e-3;

/** Average a function over the numbers below n. */
function average(n, of) {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += of(i);
  return sum / n;
}

/** Describe an RGB picture of size × size pixels by 23 numbers. */
export function describe(data, size) {
  const n = size * size;
  const gray = new Int16Array(n);
  const inside = new Uint8Array(n);
  for (let i = 0; i < n; i++) {
    gray[i] = data[3 * i] + data[3 * i + 1] + data[3 * i + 2];
    inside[i] = gray[i] > 0;
  }
  if (!inside.includes(1)) inside.fill(1);
  const places = new Int32Array(n).map((_, i) => i).filter((i) => inside[i]);
  const over = (of) => average(places.length, (i) => of(3 * places[i]));
  const means = [0, 1, 2].map((c) => over((i) => data[i + c]) / 255);
  const off = (i, c) => data[i + c] / 255 - means[c];
  const spreads = [0, 1, 2].map((c) => Math.sqrt(over((i) => off(i, c) ** 2)));
  const alike = (a, b) =>
    over((i) => off(i, a) * off(i, b)) / (spreads[a] + SMALL) / (spreads[b] + SMALL);
  const unlike = [1 - alike(0, 1), 1 - alike(0, 2), 1 - alike(1, 2)];
  const hues = [0, 2].map((c) => Math.sqrt(over((i) => (off(i, c) - off(i, 1)) ** 2)));
  const shades = Int16Array.from(places, (i) => gray[i]).sort();
  const { edge, outline } = shape(inside, size);
  const { grain, flat } = grainOf(gray, inside, size);
  const logs = [...spreads, ...unlike, ...hues, ...grain, flat];
  return [
    places.length / n,
    Math.log(edge + 0.05),
    Math.log((outline + 1) / Math.sqrt(places.length)),
    ...means,
    means[0] - means[1],
    means[2] - means[1],
    ...[0.05, 0.5, 0.95].map((share) => quantile(shades, share) / 765),
    ...logs.map((value) => Math.log(Math.max(value, 0) + SMALL)),
  ];
}

function quantile(sorted, share) {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

/** Measure how much of the picture's edge is not black, and how long the outline is. */
function shape(inside, size) {
  let [edge, outline] = [0, 0];
  for (let i = 0; i < size; i++) {
    const last = size * (size - 1);
    edge += inside[i] + inside[last + i] + inside[i * size] + inside[i * size + size - 1];
    for (let j = 1; j < size; j++) {
      outline += inside[i * size + j] ^ inside[i * size + j - 1];
      outline += inside[j * size + i] ^ inside[(j - 1) * size + i];
    }
  }
  return { edge: edge / (4 * size), outline };
}

/** Measure how much neighbors differ, near and far, and which share of them does not. */
function grainOf(gray, inside, size) {
  let flat = 0;
  const grain = [1, 2, 4].map((distance) => {
    let [sum, count, zero] = [0, 1, 1];
    const compare = (i, j) => {
      if (!inside[i] || !inside[j]) return;
      sum += Math.abs(gray[j] - gray[i]);
      count += 1;
      zero += gray[j] === gray[i];
    };
    for (let y = 0; y < size; y++) {
      for (let x = 0; x + distance < size; x++) {
        compare(y * size + x, y * size + x + distance);
        compare(x * size + y, (x + distance) * size + y);
      }
    }
    if (distance === 1) flat = zero / count;
    return sum / count / 765;
  });
  return { grain, flat };
}

/** The distance of described pixels from the known cells; above 1 a picture is refused. */
export function distance(known, described) {
  const z = described.map((value, i) => (value - known.mean[i]) / known.spread[i]);
  const squared = known.precision.reduce(
    (sum, row, i) => sum + z[i] * row.reduce((part, weight, j) => part + weight * z[j], 0),
    0,
  );
  return Math.sqrt(squared / z.length) / known.limit;
}
