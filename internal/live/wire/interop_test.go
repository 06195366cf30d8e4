package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"github.com/gobwas/ws/wsutil"
)

// echo is a server of this package's parts: it sends every message back, compressed when that was agreed on.
func echo(t *testing.T) *httptest.Server {
	t.Helper()
	rules := &Rules{MaxMessage: 1 << 20}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, err := Upgrade(r, nil)
		if refusal, ok := errors.AsType[*Refusal](err); ok {
			maps.Copy(w.Header(), refusal.Header)
			http.Error(w, refusal.Detail, refusal.Status)
			return
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		if _, err := conn.Write(h.AppendResponse(nil)); err != nil {
			t.Error(err)
			return
		}
		serveEcho(conn, rw.Reader, NewDecoder(rules, h.Form, h.Deflate), h)
	}))
	t.Cleanup(server.Close)
	return server
}

func serveEcho(w io.Writer, r io.Reader, d Decoder, h Handshake) {
	buf := make([]byte, 1000)
	for {
		n, err := r.Read(buf)
		if err != nil {
			return
		}
		for p := buf[:n]; ; {
			m, rest, ok, err := d.Next(p)
			var out []byte
			switch closing, failed := errors.AsType[*CloseError](err); {
			case failed:
				_, _ = w.Write(AppendCloseFrame(nil, closing.Code, closing.Reason))
				_, _ = io.Copy(io.Discard, r) // hear the client out: it may still be sending
				return
			case !ok:
			case m.Opcode == ws.OpClose:
				_, _ = w.Write(AppendCloseFrame(nil, m.Code, m.Reason))
				return
			case m.Opcode == ws.OpPing:
				out = AppendPongFrame(nil, m.Payload)
			case m.Opcode == h.Form.Opcode():
				if small := deflateBlocks(m.Payload); h.Deflate && small != nil {
					out = append(appendHeader(nil, h.Form.Opcode(), true, len(small)), small...)
				} else {
					out = AppendMessageFrame(nil, h.Form, m.Payload)
				}
			}
			if !ok {
				break
			}
			if _, err := w.Write(out); err != nil {
				return
			}
			p = rest
		}
	}
}

// sizes are those at which frames and messages change their shape, and some between.
var sizes = []int{0, 1, 125, 126, 127, 600, 1000, 65_535, 65_536, 300_000, 1 << 20}

func text(n int) string {
	const line = `{"sku":"A-1","name":"Artikel é","count":3},`
	return strings.ToValidUTF8(strings.Repeat(line, n/len(line)+1)[:n], "x")
}

func TestCoder(t *testing.T) {
	server := echo(t)
	for mode, name := range map[websocket.CompressionMode]string{
		websocket.CompressionDisabled: "plain", websocket.CompressionNoContextTakeover: "deflate", websocket.CompressionContextTakeover: "deflate with context",
	} {
		t.Run(name, func(t *testing.T) {
			c, res, err := websocket.Dial(t.Context(), server.URL, &websocket.DialOptions{ //nolint:bodyclose // a WebSocket has none
				Subprotocols: []string{ProtocolJSON}, CompressionMode: mode, CompressionThreshold: 1,
			})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.CloseNow() }()
			c.SetReadLimit(2 << 20)
			if offered := mode != websocket.CompressionDisabled; (res.Header.Get("Sec-Websocket-Extensions") != "") != offered || c.Subprotocol() != ProtocolJSON {
				t.Errorf("%v", res.Header)
			}
			for _, n := range sizes {
				want := text(n)
				if err := c.Write(t.Context(), websocket.MessageText, []byte(want)); err != nil {
					t.Fatal(err)
				}
				kind, out, err := c.Read(t.Context())
				if err != nil || kind != websocket.MessageText || string(out) != want {
					t.Fatalf("%d: %v, %d bytes", n, err, len(out))
				}
				w, err := c.Writer(t.Context(), websocket.MessageText) // in fragments
				if err != nil {
					t.Fatal(err)
				}
				for p := range strings.SplitSeq(want, "9") {
					if _, err := io.WriteString(w, p); err != nil {
						t.Fatal(err)
					}
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				if _, out, err := c.Read(t.Context()); err != nil || string(out) != strings.ReplaceAll(want, "9", "") {
					t.Fatalf("%d in fragments: %v, %d bytes", n, err, len(out))
				}
			}
			reading := c.CloseRead(t.Context())
			if err := c.Ping(t.Context()); err != nil {
				t.Error(err)
			}
			_ = reading
			if err := c.Close(4001, "bye"); err != nil {
				t.Error(err)
			}
		})
	}
	c, _, err := websocket.Dial(t.Context(), server.URL, nil) //nolint:bodyclose // a WebSocket has none
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Write(t.Context(), websocket.MessageText, make([]byte, 1<<20+1)); err != nil {
		t.Fatal(err)
	}
	if _, _, err = c.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
		t.Errorf("too large: %v", err)
	}
	_, res, err := websocket.Dial(t.Context(), server.URL, &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://evil.example"}}}) //nolint:bodyclose // a WebSocket has none
	if err == nil || res.StatusCode != http.StatusForbidden {
		t.Errorf("a foreign page: %v", err)
	}
}

// TestGobwas has the client of another implementation on the other end of a pipe.
func TestGobwas(t *testing.T) {
	client, server := net.Pipe()
	done := make(chan error, 1)
	go func() {
		defer func() { _ = server.Close() }()
		r, err := http.ReadRequest(bufio.NewReader(server))
		if err != nil {
			done <- err
			return
		}
		h, err := Upgrade(r, nil)
		if err == nil {
			_, err = server.Write(h.AppendResponse(nil))
		}
		done <- err
		if err == nil {
			serveEcho(server, server, NewDecoder(&Rules{MaxMessage: 1 << 20}, h.Form, h.Deflate), h)
		}
	}()
	deflate := wsflate.Parameters{ClientNoContextTakeover: true, ServerNoContextTakeover: true}
	dialer := ws.Dialer{Protocols: []string{ProtocolCBOR}, NetDial: nil}
	dialer.Extensions = append(dialer.Extensions, deflate.Option())
	u := &url.URL{Scheme: "ws", Host: "pipe", Path: "/socket"}
	_, agreed, err := dialer.Upgrade(client, u)
	if err != nil || <-done != nil {
		t.Fatal(err)
	}
	if agreed.Protocol != ProtocolCBOR || len(agreed.Extensions) != 1 {
		t.Errorf("%+v", agreed)
	}
	for _, n := range sizes {
		want := []byte(text(n))
		f := ws.NewBinaryFrame(bytes.Clone(want))
		if n%2 == 0 {
			if f, err = wsflate.CompressFrame(f); err != nil {
				t.Fatal(err)
			}
		}
		wrote := make(chan error, 1)
		go func() { wrote <- ws.WriteFrame(client, ws.MaskFrameInPlace(f)) }()
		got, err := ws.ReadFrame(client) //nolint:staticcheck // the peer is ours
		if err != nil || <-wrote != nil {
			t.Fatal(err)
		}
		if got.Header.Rsv1() {
			if got, err = wsflate.DecompressFrame(got); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got.Payload, want) {
			t.Errorf("%d: %d bytes came back", n, len(got.Payload))
		}
	}
	if err := wsutil.WriteClientMessage(client, ws.OpPing, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if f, err := ws.ReadFrame(client); err != nil || f.Header.OpCode != ws.OpPong || string(f.Payload) != "x" { //nolint:staticcheck // the peer is ours
		t.Errorf("%v %+v", err, f)
	}
	go func() { _ = wsutil.WriteClientMessage(client, ws.OpText, []byte("x")) }() // it is refused before it is all written
	f, err := ws.ReadFrame(client)                                                //nolint:staticcheck // the peer is ours
	if err != nil {
		t.Fatal(err)
	}
	if code, reason := ws.ParseCloseFrameData(f.Payload); code != CloseUnsupported || reason == "" {
		t.Error(fmt.Sprint(code), reason)
	}
}
