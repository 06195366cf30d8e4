import assert from "node:assert/strict";
import { test } from "node:test";
import type { BinRequest } from "$api";
import { contentOf, kindOf } from "./content";

const base64 = (...bytes: number[]): string => btoa(String.fromCharCode(...bytes));

test("text in the charset that its sender names is read; what is not in it stays bytes", () => {
  assert.equal(contentOf({ body_base64: base64(0x50, 0xf8, 0xed) }, "text/plain; charset=windows-1250").text, "Pří");
  assert.equal(contentOf({ body_base64: base64(0x50, 0xf8, 0xed) }, 'text/plain; charset="ISO-8859-2"').text, "Pří");
  assert.equal(contentOf({ body_base64: base64(0x50, 0xf8, 0xed) }, "text/plain").text, undefined);
  assert.equal(contentOf({ body_base64: base64(0x50, 0xf8, 0xed) }, "text/plain; charset=utf-8").text, undefined);
  assert.equal(contentOf({ body_base64: base64(0xff) }, "text/plain; charset=klingon").text, undefined);
  assert.equal(contentOf({ body_base64: base64(0xff, 0xff) }, "text/plain; charset=euc-jp").text, undefined);
  assert.equal(contentOf({ body: "{}" }, "application/json").json, true);
});

test("what a body is, in a word", () => {
  const of = (media: string, size = 1): string => kindOf({ size, headers: [{ name: "content-type", value: media }] } as BinRequest);
  assert.deepEqual(["application/json; charset=utf-8", "application/cloudevents+json", "text/xml", "application/soap+xml", "text/plain", "application/octet-stream", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/csv"].map((m) => of(m)), ["json", "json", "xml", "xml", "text", "binary", "form", "multipart", "csv"]);
  assert.equal(of("application/json", 0), "");
  assert.equal(kindOf({ size: 1, headers: [] } as unknown as BinRequest), "");
});
