import assert from "node:assert/strict";
import { test } from "node:test";
import { draftOf, isOrigin, logoBytes, MAX_FILE, MAX_LOGO, portalOf, readLogo } from "./draft";

test("what is empty is not sent", () => {
  assert.deepEqual(portalOf(draftOf({})), {});
  const p = { name: "Acme", colour: "#0b7285", origins: ["https://app.example.com"], language: "cs" };
  assert.deepEqual(portalOf(draftOf(p)), p);
  assert.deepEqual(portalOf({ ...draftOf({}), name: "  ", colour: "#ABCDEF" }), { colour: "#abcdef" });
});

test("origins are a scheme and a host", () => {
  for (const good of ["https://app.example.com", "http://localhost:3000", "https://app.example.com/"]) assert.ok(isOrigin(good), good);
  for (const bad of ["app.example.com", "https://", "https://a.example/path", "https://a.example?x", "https://u@a.example", "ftp://a.example"]) {
    assert.ok(!isOrigin(bad), bad);
  }
});

test("a logo is taken up to the server's limit", async () => {
  const file = (bytes: number, type: string): File => new File([new Uint8Array(bytes)], "logo", { type });
  const good = await readLogo(file(1000, "image/png"));
  assert.ok("url" in good && good.url.startsWith("data:image/png;base64,"));
  assert.equal(logoBytes(good.url), 1000);
  for (const type of ["image/png", "image/svg+xml"]) {
    const largest = await readLogo(file(MAX_FILE, type));
    assert.ok("url" in largest && largest.url.length <= MAX_LOGO, type);
  }
  assert.deepEqual(await readLogo(file(MAX_LOGO, "image/png")), { fault: "large", bytes: MAX_LOGO });
  assert.deepEqual(await readLogo(file(10, "image/gif")), { fault: "kind" });
});
