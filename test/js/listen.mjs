// Listens to a log with the npm clients `eventsource` and `ws` and prints the version of each event, a line each.
//
//   node listen.mjs eventsource|ws|ws-deflate URL KEY UNTIL
//
// URL is that of the stream or socket. It goes on by itself after every cut, as its client does, until it has seen the
// version UNTIL; what is missing or double is for the reader of the lines to find.
import { EventSource } from 'eventsource';
import WebSocket from 'ws';

const [kind, url, key, until] = process.argv.slice(2);
const last = Number(until);

function saw(version) {
  process.stdout.write(`${version}\n`);
  if (version >= last) process.exit(0);
}

function fail(what) {
  process.stderr.write(`${what}\n`);
  process.exit(1);
}

if (kind === 'eventsource') {
  // The client's own reconnection is what is tested: it sends Last-Event-ID. It gives up at an answer other than 200, which a proxy
  // may make of a server that is down; then a new one goes on from the last id, as an application would.
  let seen = 0;
  const connect = () => {
    const source = new EventSource(`${url}?start=${seen + 1}&event=none`, {
      fetch: (input, init) => fetch(input, { ...init, headers: { ...init.headers, Authorization: `Bearer ${key}` } }),
    });
    source.onmessage = (message) => {
      const event = JSON.parse(message.data);
      if (message.lastEventId !== String(event.version)) fail(`id ${message.lastEventId} on version ${event.version}`);
      seen = event.version;
      saw(event.version);
    };
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, 50);
    };
  };
  connect();
} else {
  let seen = 0;
  const connect = () => {
    const socket = new WebSocket(url, ['posthorn.v1.json'], {
      headers: { Authorization: `Bearer ${key}` },
      perMessageDeflate: kind === 'ws-deflate',
    });
    socket.on('open', () => socket.send(JSON.stringify({ type: 'subscribe', id: 'all', start: seen + 1 })));
    socket.on('message', (data) => {
      const message = JSON.parse(data);
      switch (message.type) {
        case 'event':
          seen = message.event.version;
          saw(seen);
          break;
        case 'error':
          fail(`error: ${JSON.stringify(message)}`);
      }
    });
    socket.on('error', () => {});
    socket.on('close', () => setTimeout(connect, 20));
  };
  connect();
}
