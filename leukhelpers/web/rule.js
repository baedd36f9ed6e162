// From probabilities to a prediction, or to the reason why there is none, as
// leukhelpers/serving/predict.py decides; and the table of all predictions.

export const NEAR = "the probability is too close to the threshold";
const CERTAIN = 1e-12;
const FORMULA = /^[=+\-@\t\r]/; // with which a spreadsheet begins to calculate

/** Divide the logit of a probability by a temperature. */
export function applyTemperature(probability, temperature) {
  const log = (p) => Math.log(Math.min(Math.max(p, CERTAIN), 1));
  return 1 / (1 + Math.exp((log(1 - probability) - log(probability)) / temperature));
}

/** Number the predicted class, or return null where there is no prediction. */
export function decide({ conformal }, probabilities, threshold) {
  if (probabilities.length > 1) return probabilities.indexOf(Math.max(...probabilities));
  const second = probabilities[0];
  const called = second >= threshold ? 1 : 0;
  if (!conformal) return called;
  const named = [1 - second >= conformal[0], second >= conformal[1]];
  return named[called] && !named[1 - called] ? called : null;
}

/** Measure a threshold on the validation cells. */
export function operatingPoint({ labels, scores }, threshold) {
  const share = (label) => {
    const own = scores.filter((_, i) => labels[i] === label);
    return own.filter((score) => score >= threshold === (label === 1)).length / own.length;
  };
  return { sensitivity: share(1), specificity: share(0), cells: labels.length };
}

/** Write rows as CSV; no cell begins as a formula of a spreadsheet does. */
export function toCsv(rows) {
  const columns = [...new Set(rows.flatMap(Object.keys))];
  const cell = (value) => {
    if (typeof value !== "string") return String(value ?? "");
    const safe = FORMULA.test(value) ? `'${value}` : value;
    return /[",;\t\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const lines = rows.map((row) => columns.map((column) => cell(row[column])).join(","));
  return [columns.map(cell).join(","), ...lines, ""].join("\r\n");
}
