// How the inspector shows bodies.
import assert from "node:assert/strict";
import { exec } from "node:child_process";
import { createServer } from "node:http";
import { test } from "node:test";
import { base64Of, bytesOf, curlOf, formOf, hexOf, kindOf, prettyJSON, prettyXML, textOf } from "../../internal/tunnel/agent/page/pretty.js";

const shown = ({ parts, error }) => parts.map(([kind, text]) => (kind === "mark" ? `«${text}»` : text)).join("") + (error ? ` ${error.line}:${error.column} ${error.message}` : "");

test("JSON keeps what was written", () => {
  for (const [text, want] of [
    ['{"a":[1,2.50,{"b":"x"}],"c":{},"d":[]}', '{\n  "a": [\n    1,\n    2.50,\n    {\n      "b": "x"\n    }\n  ],\n  "c": {},\n  "d": []\n}'],
    [' 12345678901234567890 ', "12345678901234567890"],
    ['{"a":1,"a":2}', '{\n  "a": 1,\n  "a": 2\n}'],
    ['"\\u0041\\n"', '"\\u0041\\n"'],
    ["1\n2", "1\n2"],
  ]) assert.equal(shown(prettyJSON(text)), want);
});

test("what is no JSON is marked where it is not", () => {
  for (const [text, want] of [
    ['{"a":1,}', '{\n  "a": 1,\n  «}» 1:8 a string in double quotes should be here'],
    ['{\n"a" 1}', '{\n  "a"«1»} 2:5 : should be here'],
    ["[1,2", "[\n  1,\n  2«␄» 1:5 the end, but ] is missing"],
    ["{'a':1}", "{\n  «'»a':1} 1:2 a string in double quotes should be here"],
    ["01", "0\n1"], // two values
    ["NaN", "«N»aN 1:1 a value should be here"],
    ['"a\nb"', '"a«␣»b" 1:3 a character that a string may not have like this'],
    ["", "«␄» 1:1 the end, but a value is missing"],
  ]) assert.equal(shown(prettyJSON(text)), want);
  const deep = prettyJSON("[".repeat(100_000));
  assert.match(deep.error.message, /too many levels/);
});

test("everything of a body is shown, whatever is wrong with it", () => {
  const characters = (s) => s.replace(/[\s«»␣␄]/g, "");
  for (const text of ['{"a":[1,2,{"b":nul', "[1,2}", '{"a"::1}', '["x",,]', '{"a":"\\q"}', "tru", '[1 2]']) {
    const all = prettyJSON(text).parts.map(([, t]) => t).join("");
    assert.equal(characters(all), characters(text), text);
  }
  for (const text of ["<a><b>x</a></b>", "<a", "<a>&</a>", "<a b=c/>", "text", "<a></a><", "</a>"]) {
    const all = prettyXML(text).parts.map(([, t]) => t).join("");
    assert.equal(characters(all), characters(text), text);
  }
});

test("XML", () => {
  for (const [text, want] of [
    ['<?xml version="1.0"?><a x="1"><b>text</b><c/><d></d></a>', '<?xml version="1.0"?>\n<a x="1">\n  <b>text</b>\n  <c/>\n  <d></d>\n</a>'],
    ["<a><b></a>", "<a>\n  <b>«<»/a> 1:7 </b> should end here, not this"],
    ["<a>x & y</a>", "<a>x «&» y</a> 1:6 & must be written &amp;"],
    ["<a></a>text", "<a></a>«t»ext 1:8 text outside of the root element"],
    ["<a>", "<a>«␄» 1:4 the end, but </a> is missing"],
    ['<!DOCTYPE x [<!ENTITY a "b">]><a>&a;</a>', '<!DOCTYPE x [<!ENTITY a "b">]>\n<a>&a;</a>'],
  ]) assert.equal(shown(prettyXML(text)), want);
});

test("long texts take time in proportion", () => {
  const start = process.cpuUsage(); // not the clock's time, of which others take some
  prettyJSON("[" + '{"a":"b"},'.repeat(40_000) + "1]");
  prettyXML("<a>" + '<b c="d">e</b>'.repeat(30_000) + "</a>");
  prettyXML("<a " + 'b="c" '.repeat(40_000)); // never ends
  prettyJSON('"' + "\\".repeat(200_000));
  const { user } = process.cpuUsage(start);
  assert.ok(user < 10_000_000, `${user / 1000} ms`);
});

test("texts, forms, bytes", () => {
  assert.equal(textOf(new TextEncoder().encode("grüß\r\n\t")), "grüß\r\n\t");
  assert.equal(textOf(Uint8Array.of(0xff)), null);
  assert.equal(textOf(Uint8Array.of(65, 0)), null);
  assert.equal(textOf(Uint8Array.of(65, 0xc3), true), "A"); // cut within a character
  assert.deepEqual(formOf("a=1&b=x+y%21&c&a=2"), [["a", "1"], ["b", "x y!"], ["c", ""], ["a", "2"]]);
  assert.equal(formOf("a=%"), null);
  assert.deepEqual(["application/problem+json; charset=utf-8", "text/xml", "image/svg+xml", "text/html", "application/x-www-form-urlencoded", "text/plain"].map((t) => kindOf(t, "x")),
    ["json", "xml", "xml", "text", "form", "text"]);
  assert.deepEqual([' {"a"', "[", "<?xml ", "<p>", "x"].map((t) => kindOf("", t)), ["json", "json", "xml", "text", "text"]);
  assert.equal(hexOf(new TextEncoder().encode("hello, world\n\u0000more")), "000000  68 65 6c 6c 6f 2c 20 77  6f 72 6c 64 0a 00 6d 6f  hello, world··mo\n000010  72 65" + " ".repeat(18) + "  " + " ".repeat(23) + "  re");
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  assert.deepEqual(bytesOf(base64Of(all)), all);
});

test("the command does the same request again", async () => {
  let seen;
  const server = createServer((req, res) => {
    const chunks = [];
    req.on("data", (c) => chunks.push(c)).on("end", () => {
      seen = { method: req.method, path: req.url, headers: req.rawHeaders, body: Buffer.concat(chunks) };
      res.end();
    });
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  const run = (command) => new Promise((resolve, reject) => exec(command, (e) => (e ? reject(e) : resolve())));
  try {
    for (const body of [new TextEncoder().encode(`it's "$(id)" \`x\` \\ {[]}\n`), Uint8Array.of(0, 255, 39, 10), new TextEncoder().encode("@/etc/hostname"), new Uint8Array()]) {
      const headers = [["Host", "hooks.example.com"], ["X-Odd", `a'b"$HOME`], ["X-Empty", ""], ["Content-Length", String(body.length)]].map(([name, value]) => ({ name, value }));
      await run(curlOf({ method: "PATCH", path: "/a/../b%2F?x={1}&y='$(id)'".replaceAll("'", "%27"), headers, body }, origin));
      assert.equal(seen.method, "PATCH");
      assert.equal(seen.path, "/a/../b%2F?x={1}&y=%27$(id)%27");
      assert.deepEqual(new Uint8Array(seen.body), body);
      const got = Object.fromEntries(seen.headers.reduce((list, v, i) => (i % 2 ? (list.at(-1).push(v), list) : [...list, [v]]), []));
      delete got.Connection;
      const want = { Host: "hooks.example.com", "X-Odd": `a'b"$HOME`, "X-Empty": "" };
      if (body.length) want["Content-Length"] = String(body.length);
      assert.deepEqual(got, want);
    }
  } finally {
    server.close();
    server.closeAllConnections();
  }
});
