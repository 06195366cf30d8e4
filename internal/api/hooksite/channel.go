package hooksite

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// A channel of smee.io is a bin that says so in its metadata: whoever knows its alias may read it, as there.
const (
	faceName    = "face"
	faceChannel = "smee"
)

// Lives of channels that were made without a key. One that was made by a post is kept for long once somebody reads it.
const (
	channelLife = 7 * 24 * time.Hour
	postedLife  = time.Hour
)

// channelName reports whether s may name a bin or a channel.
func channelName(s string) bool {
	return s != "" && len(s) <= 128 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}

func isChannel(b *event.Bin) bool { return b.Metadata[faceName] == faceChannel }

// newChannel answers at /new: it makes a channel and says where it is.
func (a *API) newChannel(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		methods(w, "GET", "HEAD")
		return nil
	}
	tenant, keyed, err := a.maker(r)
	if err != nil {
		return plain{err}
	}
	var random [12]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	b, err := a.makeChannel(r.Context(), tenant, base64.RawURLEncoding.EncodeToString(random[:]), keyed, channelLife)
	if err != nil {
		return plain{err}
	}
	w.Header().Set("Location", a.PublicURL+"/"+b.Alias)
	w.WriteHeader(http.StatusTemporaryRedirect)
	return nil
}

func (a *API) makeChannel(ctx context.Context, tenant event.TenantID, name string, keyed bool, life time.Duration) (event.Bin, error) {
	b := event.Bin{Alias: name, CORS: true, Keep: event.DefaultBinKept, Metadata: map[string]string{faceName: faceChannel}}
	if !keyed {
		b.Expires = a.Clock().UTC().Add(life)
	}
	return a.Bins.Create(ctx, tenant, b)
}

// plain is an error that is told as a line of text: those who use channels and bins read no JSON.
type plain struct{ error }

// Unwrap returns the error itself.
func (p plain) Unwrap() error { return p.error }

// serveBin answers at the root: /{bin} and below, for bins by their ID or alias and for channels.
func (a *API) serveBin(w http.ResponseWriter, r *http.Request, path string) error {
	name, rest, below := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !channelName(name) {
		return plain{event.NotFound("bin or channel")}
	}
	streams := !below && r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/event-stream")
	b, err := a.Bins.Bin(r.Context(), 0, name)
	switch kind := event.KindOf(err); {
	case err == nil:
	case kind != event.KindNotFound && kind != event.KindGone:
		return plain{err}
	case (streams || !below && r.Method == http.MethodPost) && (a.Anonymous || kind == event.KindNotFound):
		if b, err = a.firstUse(r, name, kind == event.KindGone, streams); err != nil {
			return plain{err}
		}
	case kind == event.KindNotFound && a.Anonymous && !below && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		channelPage(w, name, a.PublicURL)
		return nil
	default:
		return plain{err}
	}
	byID := strings.EqualFold(b.ID, name)
	switch {
	case streams && (byID || isChannel(&b)):
		return a.stream(w, r, &b)
	case isChannel(&b) && !byID && !below && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		channelPage(w, name, a.PublicURL)
		return nil
	case isChannel(&b) && rest == "redeliver" && r.Method == http.MethodPost:
		return a.redeliver(w, r, &b)
	}
	h := w.Header()
	h.Del("Cache-Control") // the answer that is set may have one
	a.Bins.Serve(w, r, name, "/"+name)
	return nil
}

// firstUse makes a channel under a name that nobody has, where everyone can.
func (a *API) firstUse(r *http.Request, name string, expired, read bool) (event.Bin, error) {
	if !a.Anonymous {
		return event.Bin{}, event.Errorf(event.KindNotFound, "not_found",
			"there is no such bin or channel; one is made with an API key, or, with the option anonymous-bins, by its first use")
	}
	if len(name) < 3 || looksLikeID(name) || reserved[strings.ToLower(name)] {
		return event.Bin{}, event.Errorf(event.KindNotFound, "not_found", "there is no such bin; a channel's name has 3 to 128 characters and is no UUID")
	}
	if err := a.limits.take(a.Remote(r), a.Clock()); err != nil {
		return event.Bin{}, err
	}
	life := postedLife
	if read {
		life = channelLife
	}
	b, err := a.makeChannel(r.Context(), 0, name, false, life)
	if event.KindOf(err) == event.KindConflict {
		switch e := errorCode(err); {
		case e == "already_exists" && !expired: // made by another at this moment
			return a.Bins.Bin(r.Context(), 0, name)
		case e == "already_exists":
			return b, event.Errorf(event.KindGone, "bin_expired", "the channel has expired; it can be made again in a moment")
		default: // as many as there may be
			return b, &event.Error{Kind: event.KindUnavailable, Code: "busy", Detail: "there are as many bins as there may be; try again later", RetryAfter: time.Minute}
		}
	}
	return b, err
}

func looksLikeID(s string) bool { return len(s) == 36 && strings.Count(s, "-") == 4 }

// channelPage tells who opens a channel in a browser what it is for.
func channelPage(w http.ResponseWriter, name, base string) {
	address := base + "/" + name
	text := "This is a channel. What is sent here with POST is passed on to everyone who listens.\n\n" +
		"    npx smee-client --url " + address + " --target http://127.0.0.1:3000/\n\n" +
		"or, to see it, with\n\n    curl -N -H 'Accept: text/event-stream' " + address + "\n"
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, text) // the caller may be gone; nobody is left to tell
}
