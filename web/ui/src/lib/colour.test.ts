import assert from "node:assert/strict";
import { test } from "node:test";
import { brandColours, contrast, lost, parseHex, type RGB } from "./colour";

const of = (colour: string, dark: boolean, token: string): RGB => parseHex(brandColours(colour, dark)[token]) ?? assert.fail(`${token} of ${colour}`);

test("whatever the brand's colour: buttons stand out from the page, their text can be read, links too", () => {
  for (const colour of ["#000000", "#101018", "#ffffff", "#fffde0", "#ffe94d", "#0b7285", "#808080", "#ff0000", "#00ff00", "#0000ff", "#777777"]) {
    for (const dark of [false, true]) {
      const page: RGB = dark ? [17, 17, 15] : [255, 255, 255];
      const where = `${colour} on ${dark ? "dark" : "light"}`;
      const ink = of(colour, dark, "--ink");
      assert.ok(contrast(ink, page) >= (dark ? 1.9 : 1.19), `the button of ${where}: ${contrast(ink, page)}`);
      assert.ok(contrast(ink, of(colour, dark, "--on-ink")) >= 4.5, `the button's text of ${where}`);
      assert.ok(contrast(of(colour, dark, "--link"), page) >= 4.5, `links of ${where}`);
      assert.ok(contrast(of(colour, dark, "--focus"), page) >= 3, `the focus of ${where}`);
    }
  }
});

test("a brand that fits is taken as it is", () => {
  assert.equal(brandColours("#0b7285", false)["--ink"], "#0b7285");
  assert.equal(brandColours("#0b7285", true)["--ink"], "#0b7285");
  assert.deepEqual(brandColours(undefined, false), {});
});

test("a logo is lost on a ground of its own colour only", () => {
  const pixels = (...list: number[][]): number[] => list.flat();
  const black = [16, 16, 24, 255];
  const white = [255, 255, 255, 255];
  const clear = [0, 0, 0, 0];
  assert.equal(lost(pixels(black, black, clear, clear), true), true);
  assert.equal(lost(pixels(black, black, clear, clear), false), false);
  assert.equal(lost(pixels(white, clear, clear), false), true);
  assert.equal(lost(pixels(black, white), true), false, "half of it is seen");
  assert.equal(lost(pixels(clear, clear), true), false, "nothing in it");
});
