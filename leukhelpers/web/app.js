// The page: takes pictures, shows predictions. Nothing is sent anywhere.

import { InputError, MAX_BYTES } from "./decode.js";
import { at, loadModel, look } from "./model.js";
import { applyTemperature, decide, NEAR, operatingPoint, toCsv } from "./rule.js";

const $ = (id) => document.getElementById(id);
const GAMMA = 0.6; // brightens pictures for display
const percent = (share) => `${Math.round(100 * share)}%`;
const settings = await (await fetch(at("settings.json"))).json();
const { classes, temperature } = settings;
const two = classes.length === 2;
const calibrated = (probability) => applyTemperature(probability, temperature);
const results = [];
let threshold = settings.threshold; // of the network's own probability
let point = calibrated(threshold); // the same, calibrated
let run = null;
let queue = Promise.resolve();

/** Put a result into words: what is predicted, why not, and the numbers. */
function words(result) {
  const { error, distance, probabilities, milliseconds } = result;
  const open = { kind: "open", answer: "", called: "No prediction", numbers: [] };
  if (error) return { ...open, called: "Not read", why: error };
  const near = distance <= 1;
  const share = near ? `${distance.toFixed(2)} of` : `${distance.toFixed(1)} times`;
  open.numbers.push(
    `${share} the allowed distance from known cells; ${Math.round(milliseconds)} ms`,
  );
  if (!near) return { ...open, why: settings.strange };
  const each = probabilities.map((p, i) => `${classes[i]} ${percent(p)}`).join(", ");
  const second = two && `${classes[1]} ${percent(calibrated(probabilities[0]))}`;
  open.numbers.unshift(
    two ? `Probability of ${second}; threshold ${percent(point)}` : `Probability: ${each}`,
  );
  const called = decide(settings, probabilities, threshold);
  if (called === null) return { ...open, why: NEAR };
  const kind = called === classes.length - 1 ? "last" : "first";
  return { ...open, kind, answer: classes[called], called: settings.labels[called] };
}

function row(result) {
  const { distance, error = "", probabilities, name, milliseconds } = result;
  const { answer, why = "" } = words(result);
  const table = { file: name, answer, why: error ? "" : why, error };
  const each = two && probabilities ? [calibrated(probabilities[0])] : probabilities;
  for (const [i, label] of (two ? classes.slice(1) : classes).entries())
    table[`probability of ${label}`] = each?.[i].toFixed(6);
  if (two) table.threshold = point.toFixed(6);
  const numbers = { distance: distance?.toFixed(4), milliseconds: milliseconds?.toFixed(1) };
  return { ...table, ...numbers, notice: settings.notice };
}

function drawn(label, result, isHeat) {
  const canvas = document.createElement("canvas");
  const { size } = settings;
  Object.assign(canvas, { width: size, height: size, className: isHeat ? "heat" : "" });
  canvas.role = "img";
  canvas.ariaLabel = label;
  const context = canvas.getContext("2d");
  const image = context.createImageData(size, size);
  for (let i = 0; i < image.data.length; i++) {
    const value = result.pixels[3 * (i >> 2) + (i % 4)];
    image.data[i] = i % 4 === 3 ? 255 : 255 * (value / 255) ** GAMMA;
  }
  context.putImageData(image, 0, 0);
  if (isHeat) layHeat(context, result);
  return canvas;
}

/** Lay the class activation map over a picture. */
function layHeat(context, { map, probabilities }) {
  const units = probabilities.length;
  const unit = two ? 0 : decide(settings, probabilities, threshold);
  const heat = map.values.filter((_, i) => i % units === unit);
  const most = Math.max(...heat);
  if (most <= 0) return;
  const small = new OffscreenCanvas(map.width, map.height);
  const image = new ImageData(map.width, map.height);
  heat.forEach((value, i) => {
    const shade = Math.max(value, 0) / most;
    const color = settings.colors[Math.round(shade * (settings.colors.length - 1))];
    image.data.set([...color, 255 * 0.6 * shade], 4 * i);
  });
  small.getContext("2d").putImageData(image, 0, 0);
  context.drawImage(small, 0, 0, settings.size, settings.size);
}

function element(tag, text, className = "") {
  return Object.assign(document.createElement(tag), { textContent: text, className });
}

function describeItem({ item, text, ...result }) {
  const { kind, called, why, numbers } = words(result);
  item.className = kind;
  const file = element("p", "", "file");
  file.append(element("bdi", result.name));
  const lines = [why, ...numbers].filter(Boolean).map((line) => element("p", line));
  text.replaceChildren(element("p", called, "called"), ...lines, file);
}

function add(result) {
  result.item = document.createElement("li");
  result.text = element("div", "", "result");
  const pictures = element("div", "", "pictures");
  if (result.pixels) {
    pictures.append(drawn(`the cell of ${result.name}`, result, false));
    if (result.map) {
      const of = two ? classes[1] : "the predicted class";
      pictures.append(drawn(`heat map: evidence for ${of} in ${result.name}`, result, true));
    }
  }
  for (const large of ["pixels", "map"]) delete result[large];
  describeItem(result);
  result.item.append(pictures, result.text);
  $("results").append(result.item);
  results.push(result);
}

async function predictOne(file) {
  // Signs that turn the direction of writing could dress one name up as another.
  const shown = file.name.slice(0, 200).replace(/[\p{Cc}\p{Bidi_Control}]/gu, "\ufffd");
  const name = shown || "a file without a name";
  try {
    if (file.size > MAX_BYTES) throw new InputError("the file is too large");
    add({ name, ...(await look(settings, run, new Uint8Array(await file.arrayBuffer()))) });
  } catch (error) {
    const known = error instanceof InputError;
    add({ name, error: known ? error.message : "the picture cannot be predicted; try another" });
  }
}

async function predictAll(files) {
  Object.assign($("progress"), { hidden: files.length < 2, max: files.length });
  for (const [done, file] of files.entries()) {
    $("progress").value = done;
    if (done % 10 === 0) await new Promise((resolve) => setTimeout(resolve)); // lets the page draw
    await predictOne(file);
  }
  $("progress").hidden = true;
  refresh();
}

/** Predict files, after those that are already waiting. */
function take(files) {
  const taken = [...files];
  if (taken.length && run) queue = queue.then(() => predictAll(taken));
}

function refresh() {
  const answered = results.filter((result) => words(result).answer).length;
  $("status").textContent = `${answered} of ${results.length} predicted.`;
  for (const id of ["save", "clear"]) $(id).disabled = results.length === 0;
}

function moveThreshold() {
  const moved = Number($("threshold").value) / 100;
  const unmoved = moved === starting;
  threshold = unmoved ? settings.threshold : applyTemperature(moved, 1 / temperature);
  point = unmoved ? calibrated(threshold) : moved;
  const { sensitivity, specificity, cells } = operatingPoint(settings.validation, threshold);
  const [first, second] = classes;
  const text = `From ${percent(point)} on, a cell is predicted as ${second}. Of ${cells} validation cells: sensitivity ${percent(sensitivity)} (${second} cells predicted as ${second}), specificity ${percent(specificity)} (${first} cells predicted as ${first}), if every cell got a prediction.`;
  $("point").textContent = text;
  $("threshold").ariaValueText = percent(moved);
  results.forEach(describeItem);
  refresh();
}

function save() {
  const link = document.createElement("a");
  const csv = new Blob(["\ufeff", toCsv(results.map(row))], { type: "text/csv" });
  Object.assign(link, { href: URL.createObjectURL(csv), download: "predictions.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

async function takeExamples() {
  const fetched = settings.examples.map(async (name) => {
    const content = await (await fetch(at(`examples/${name}`))).blob();
    return new File([content], name);
  });
  take(await Promise.all(fetched));
}

const starting = Math.min(99, Math.max(1, Math.round(100 * calibrated(threshold)))) / 100;
$("about").textContent = `${settings.about} ${settings.notice}`;
$("moving").hidden = !settings.validation;
$("threshold").value = 100 * starting;
if (settings.validation) moveThreshold();
for (const id of ["files", "camera"])
  $(id).addEventListener("change", ({ target }) => {
    take(target.files);
    target.value = "";
  });
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  take(event.dataTransfer.files);
});
addEventListener("paste", (event) => take(event.clipboardData.files));
$("threshold").addEventListener("input", moveThreshold);
$("heat").addEventListener("change", ({ target }) => {
  $("results").classList.toggle("plain", !target.checked);
});
$("examples").addEventListener("click", takeExamples);
$("save").addEventListener("click", save);
$("clear").addEventListener("click", () => {
  for (const { item } of results.splice(0)) item.remove();
  refresh();
});
try {
  run = await loadModel(settings);
  for (const control of document.querySelectorAll("fieldset")) control.disabled = false;
  $("status").textContent = "Ready. No picture yet.";
} catch (error) {
  $("status").textContent = `The network cannot be loaded (${error.message}); reload the page.`;
}
navigator.serviceWorker?.register(`sw.js?${settings.version}`).catch(() => {});
