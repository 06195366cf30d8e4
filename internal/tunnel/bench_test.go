package tunnel

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// BenchmarkTunnel compares a request through the tunnel, the server's proxy included, with one straight to the program: a
// small one for the delay that is added, and bodies of 1 MiB for the throughput. The listener is in the same process.
func BenchmarkTunnel(b *testing.B) {
	echo := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // all of it first, as most programs do
		_, _ = w.Write(body)
	}
	direct := httptest.NewServer(http.HandlerFunc(echo))
	defer direct.Close()
	on := newStage(b)
	on.setup(Spec{Name: "web", Kind: KindHTTP})
	on.connect("web", echo)
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	defer transport.CloseIdleConnections()
	once := func(b *testing.B, url string, body []byte) {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		resp, err := transport.RoundTrip(r)
		if err != nil {
			b.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		if err != nil || n != int64(len(body)) || resp.StatusCode != http.StatusOK {
			b.Fatalf("%d, %d bytes, %v", resp.StatusCode, n, err)
		}
		_ = resp.Body.Close()
	}
	for _, way := range []struct{ name, url string }{{"direct", direct.URL + "/"}, {"tunnel", on.server.URL + "/t/acme/web/"}} {
		for _, body := range []struct {
			name string
			size int
		}{{"700B", 700}, {"1MiB", 1 << 20}} {
			payload := bytes.Repeat([]byte("x"), body.size)
			b.Run(way.name+"/"+body.name, func(b *testing.B) {
				b.SetBytes(int64(2 * body.size)) // there and back
				b.ReportAllocs()
				for b.Loop() {
					once(b, way.url, payload)
				}
			})
		}
	}
	for _, way := range []struct{ name, url string }{{"direct", direct.URL + "/"}, {"tunnel", on.server.URL + "/t/acme/web/"}} {
		payload := bytes.Repeat([]byte("x"), 700)
		b.Run(way.name+"/700B/parallel", func(b *testing.B) {
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					once(b, way.url, payload)
				}
			})
		})
	}
}
