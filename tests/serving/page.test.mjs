// Compares the page's own steps with what Python made of the same files (test_web.py).
// The folder of the files is in the variable CASES.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { decode, InputError } from "../../leukhelpers/web/decode.js";
import { describe, distance } from "../../leukhelpers/web/ood.js";
import { cropAndResize } from "../../leukhelpers/web/prepare.js";
import { applyTemperature, decide, operatingPoint, toCsv } from "../../leukhelpers/web/rule.js";

const read = (name) => readFileSync(join(process.env.CASES, name));
const cases = JSON.parse(read("cases.json"));
const digest = (data) => createHash("sha256").update(data).digest("hex");
const noBrowser = async (_bytes, type) => {
  throw new InputError(`left to the browser: ${type}`);
};

for (const { file, error, pixels, crops } of cases.files)
  test(`${file} is read as Python reads it`, async () => {
    const bytes = new Uint8Array(read(file));
    if (error) {
      await assert.rejects(decode(bytes, noBrowser), (thrown) => {
        assert.ok(thrown instanceof InputError);
        assert.match(thrown.message, new RegExp(error));
        return true;
      });
      return;
    }
    const picture = await decode(bytes, noBrowser);
    assert.equal(digest(picture.data), pixels);
    for (const { size, crop, sha256, numbers } of crops) {
      const small = cropAndResize(picture, size, crop);
      assert.equal(digest(small), sha256, `${size} of ${crop}`);
      const described = describe(small, size);
      assert.equal(described.length, numbers.length);
      for (const [i, value] of described.entries())
        assert.ok(Math.abs(value - numbers[i]) < 1e-4 * (1 + Math.abs(numbers[i])), `number ${i}`);
    }
  });

test("the distance from known cells is Python's", () => {
  const { known, described, far } = cases.ood;
  for (const [i, numbers] of described.entries())
    assert.ok(Math.abs(distance(known, numbers) - far[i]) < 1e-9 * (1 + far[i]));
});

test("thresholds, prediction sets and calibration are Python's", () => {
  for (const { rule, threshold, probability, called, calibrated } of cases.rules) {
    assert.equal(decide({ conformal: rule }, [probability], threshold), called);
    assert.ok(Math.abs(applyTemperature(probability, 1.7) - calibrated) < 1e-12);
  }
  assert.equal(decide({}, [0.2, 0.5, 0.3], 0.5), 1);
});

test("sensitivity and specificity count the cells on each side of the threshold", () => {
  const cells = { labels: [1, 1, 0, 0, 0], scores: [0.9, 0.4, 0.5, 0.1, 0.2] };
  const found = operatingPoint(cells, 0.5);
  assert.deepEqual(found, { sensitivity: 1 / 2, specificity: 2 / 3, cells: 5 });
});

test("no cell of the CSV begins as a formula does", () => {
  const csv = toCsv([
    { file: '=HYPERLINK(1),"a"', p: 0.5 },
    { file: "-x", other: null },
  ]);
  assert.equal(csv, 'file,p,other\r\n"\'=HYPERLINK(1),""a""",0.5,\r\n\'-x,,\r\n');
});
