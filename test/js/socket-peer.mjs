// Talks to a WebSocket of Posthorn with the npm client `ws`, and over a bare TCP connection where that client is too well
// behaved. It prints a line for each finding, and ends with 0 when there is none.
//
//   node socket-peer.mjs HOST:PORT PATH
//
// The server must have an empty log, take messages of up to 1,000,000 bytes, and allow publishing.
import { createHash, randomBytes } from 'node:crypto';
import net from 'node:net';
import WebSocket from 'ws';

const [host, path] = process.argv.slice(2);
const [name, port] = host.split(':');
let findings = 0;

function check(ok, what) {
  if (!ok) {
    findings += 1;
    process.stdout.write(`${what}\n`);
  }
}

// Client is a WebSocket whose messages are waited for.
class Client {
  constructor(options = {}) {
    this.socket = new WebSocket(`ws://${host}${path}`, ['posthorn.v1.json'], options);
    this.messages = [];
    this.waiting = [];
    this.pongs = [];
    this.socket.on('message', (data, binary) => {
      check(!binary, 'a binary frame came');
      this.#give(JSON.parse(data));
    });
    this.socket.on('pong', (data) => this.pongs.push(data.toString()));
    this.socket.on('error', () => {});
    this.closed = new Promise((done) => this.socket.on('close', (code, reason) => done({ code, reason: reason.toString() })));
    this.closed.then(() => this.#give({ type: 'closed' }));
    this.open = new Promise((done, fail) => {
      this.socket.on('open', done);
      this.socket.on('error', fail);
    });
  }

  #give(message) {
    const waiter = this.waiting.shift();
    if (waiter) waiter(message);
    else this.messages.push(message);
  }

  next() {
    if (this.messages.length > 0) return Promise.resolve(this.messages.shift());
    return new Promise((done) => this.waiting.push(done));
  }

  async expect(type) {
    const message = await this.next();
    check(message.type === type, `${JSON.stringify(message).slice(0, 300)} came instead of ${type}`);
    return message;
  }

  say(message, options = {}) {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message), options);
  }
}

// conversation goes through what a client does in its life.
async function conversation(label, perMessageDeflate, start) {
  const c = new Client({ perMessageDeflate });
  await c.open;
  check(c.socket.protocol === 'posthorn.v1.json', `${label}: the subprotocol is ${c.socket.protocol}`);
  check((c.socket.extensions !== '') === (perMessageDeflate !== false), `${label}: the extensions are ${c.socket.extensions}`);

  c.say({ type: 'subscribe', id: 'a', start });
  const hello = await c.expect('subscribed');
  check(hello.next === start && hello.head === start - 1, `${label}: ${JSON.stringify(hello)}`);

  // One small, one that fills many packets, one of text outside ASCII.
  const texts = ['x', 'line '.repeat(40_000), 'Grüße €😀 '.repeat(500)];
  for (const [i, text] of texts.entries()) {
    c.say({ type: 'publish', ref: String(i), event: { type: 'note.made', subject: label, id: `${label}-${i}`, data: { text } } });
  }
  const got = [];
  const answers = [];
  while (got.length + answers.length < 2 * texts.length) {
    const message = await c.next();
    if (message.type === 'event') got.push(message.event);
    else if (message.type === 'published') answers.push(message);
    else check(message.type === 'position', `${label}: ${JSON.stringify(message).slice(0, 300)}`);
    if (message.type === 'closed') return;
  }
  texts.forEach((text, i) => {
    check(got[i].data.text === text && got[i].version === start + i, `${label}: event ${i} is version ${got[i].version}`);
    check(answers[i].ref === String(i) && answers[i].events[0].version === start + i && answers[i].events[0].id === `${label}-${i}`, `${label}: answer ${JSON.stringify(answers[i])}`);
  });

  // In fragments, with control frames between them.
  const whole = JSON.stringify({ type: 'ping', ref: 'a€b' });
  const bytes = Buffer.from(whole);
  for (let i = 0; i < bytes.length; i += 1) {
    c.socket.send(bytes.subarray(i, i + 1), { fin: i === bytes.length - 1, binary: false });
    if (i % 10 === 0) c.socket.ping(String(i));
  }
  let answer = await c.next();
  while (answer.type === 'position') answer = await c.next();
  check(answer.type === 'pong' && answer.ref === 'a€b', `${label}: ${JSON.stringify(answer)}`);
  check(c.pongs.join(',') === bytes.reduce((all, _, i) => (i % 10 === 0 ? [...all, i] : all), []).join(','), `${label}: pongs ${c.pongs}`);

  c.say({ type: 'nonsense', ref: '7' });
  const refusal = await c.expect('error');
  check(refusal.ref === '7' && refusal.problem.code === 'invalid', `${label}: ${JSON.stringify(refusal)}`);

  c.socket.close(4123, 'enough');
  const end = await c.closed;
  check(end.code === 4123, `${label}: closed with ${end.code}`);
}

// closes sends something and expects a close code.
async function closes(label, code, options, f) {
  const c = new Client(options);
  await c.open;
  f(c);
  const end = await c.closed;
  check(end.code === code, `${label}: closed with ${end.code} ${end.reason}, want ${code}`);
}

// raw sends bytes after a handshake and returns the close code, or what the answer to the handshake was.
function raw(bytes, headers = {}) {
  return new Promise((done) => {
    const key = randomBytes(16).toString('base64');
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    const all = { Host: host, Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Key': key, 'Sec-WebSocket-Version': '13', ...headers };
    const lines = Object.entries(all).filter(([, value]) => value !== null).map(([header, value]) => `${header}: ${value}\r\n`);
    const socket = net.connect(Number(port), name);
    let buffer = Buffer.alloc(0);
    let upgraded = false;
    socket.on('error', () => done('cut'));
    socket.on('close', () => done('cut'));
    socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
    socket.on('data', (data) => {
      buffer = Buffer.concat([buffer, data]);
      if (!upgraded) {
        const end = buffer.indexOf('\r\n\r\n');
        if (end < 0) return;
        const head = buffer.subarray(0, end).toString();
        const status = Number(head.split(' ')[1]);
        if (status !== 101) {
          done(status);
          socket.destroy();
          return;
        }
        check(head.includes(accept), 'the Sec-WebSocket-Accept is wrong');
        upgraded = true;
        buffer = buffer.subarray(end + 4);
        socket.write(bytes);
      }
      if (buffer.length >= 2 && buffer[0] === 0x88 && buffer.length >= 2 + buffer[1]) {
        done(buffer[1] >= 2 ? buffer.readUInt16BE(2) : 1005);
        socket.destroy();
      }
    });
  });
}

// frame makes a masked frame.
function frame(first, payload, { masked = true, length = payload.length } = {}) {
  const head = length < 126 ? Buffer.from([first, length]) : Buffer.alloc(length < 65_536 ? 4 : 10);
  if (length >= 126) {
    head[0] = first;
    if (length < 65_536) {
      head[1] = 126;
      head.writeUInt16BE(length, 2);
    } else {
      head[1] = 127;
      head.writeBigUInt64BE(BigInt(length), 2);
    }
  }
  if (!masked) return Buffer.concat([head, payload]);
  head[1] |= 0x80;
  const mask = randomBytes(4);
  return Buffer.concat([head, mask, payload.map((b, i) => b ^ mask[i % 4])]);
}

const text = Buffer.from('{"type":"ping"}');

await conversation('plain', false, 1);
await conversation('deflate', true, 4);
await conversation('deflate of everything', { threshold: 0, clientMaxWindowBits: 9 }, 7);

for (const perMessageDeflate of [false, true]) {
  const options = { perMessageDeflate };
  await closes('oversize', 1009, options, (c) => c.say(`{"ref":"${'x'.repeat(1_100_000)}"}`));
  await closes('oversize in fragments', 1009, options, (c) => {
    for (let i = 0; i < 11; i += 1) c.socket.send('x'.repeat(100_000), { fin: i === 10 });
  });
  await closes('not JSON', 1007, options, (c) => c.say('{'));
  await closes('binary', 1003, options, (c) => c.socket.send(text));
  await closes('close without a code', 1005, options, (c) => c.socket.close());
}

for (const [label, code, bytes, headers] of [
  ['not masked', 1002, frame(0x81, text, { masked: false })],
  ['reserved bit', 1002, frame(0xc1, text)],
  ['unknown opcode', 1002, frame(0x83, text)],
  ['long ping', 1002, frame(0x89, Buffer.alloc(126))],
  ['fragmented ping', 1002, frame(0x09, text)],
  ['nothing to continue', 1002, frame(0x80, text)],
  ['begun twice', 1002, Buffer.concat([frame(0x01, text), frame(0x81, text)])],
  ['not UTF-8', 1007, frame(0x81, Buffer.from([0xff]))],
  ['half a character', 1007, frame(0x81, Buffer.from([0xe2, 0x82]))],
  ['announced too long', 1009, frame(0x81, text, { length: 2_000_000 })],
  ['close of one byte', 1002, frame(0x88, Buffer.from([3]))],
  ['close with 1005', 1002, frame(0x88, Buffer.from([3, 0xed]))],
  ['close with 1000', 1000, frame(0x88, Buffer.from([3, 0xe8]))],
  ['not deflated', 1007, frame(0xc1, Buffer.from([0xff, 0xff, 0xff])), { 'Sec-WebSocket-Extensions': 'permessage-deflate' }],
  ['no upgrade', 426, text, { Upgrade: null }],
  ['old version', 426, text, { 'Sec-WebSocket-Version': '8' }],
  ['no key', 400, text, { 'Sec-WebSocket-Key': null }],
  ['unknown subprotocol', 400, text, { 'Sec-WebSocket-Protocol': 'mqtt' }],
  ['foreign page', 403, text, { Origin: 'https://evil.example' }],
]) {
  const got = await raw(bytes, headers);
  check(got === code, `${label}: ${got}, want ${code}`);
}

process.exit(findings === 0 ? 0 : 1);
