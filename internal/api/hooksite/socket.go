package hooksite

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/inspect"
)

// Types of packets of socket.io, versions 2 (over engine.io 3) and 5 (over 4).
const (
	socketConnect    = "0"
	socketDisconnect = "1"
	socketEvent      = "2"
	socketAck        = "3"
	socketError      = "4"
)

// maxChannels is how many tokens one session may watch.
const maxChannels = 50

// message takes a packet of socket.io; false ends the session.
func (s *session) message(text string) bool {
	if text == "" {
		return false
	}
	kind, rest := text[:1], text[1:]
	if strings.HasPrefix(rest, "/") {
		return s.otherSpace(kind, rest)
	}
	switch kind {
	case socketConnect:
		s.mu.Lock()
		s.connected = true
		s.mu.Unlock()
		if s.version == 4 {
			return s.send(engineMessage + socketConnect + `{"sid":"` + s.id + `"}`)
		}
		return true
	case socketDisconnect:
		return false
	case socketEvent:
		s.mu.Lock()
		connected := s.connected
		s.mu.Unlock()
		return connected && s.event(rest)
	case socketAck, socketError:
		return true
	}
	return false // binary ones
}

// otherSpace answers a packet for a namespace: there is none but the main one.
func (s *session) otherSpace(kind, rest string) bool {
	if kind != socketConnect {
		return true
	}
	name, _, _ := strings.Cut(rest, ",")
	name, _, _ = strings.Cut(name, "?")
	if name == "/" {
		return true
	}
	text := `"Invalid namespace"`
	if s.version == 4 {
		text = `{"message":"Invalid namespace"}`
	}
	return s.send(engineMessage + socketError + name + "," + text)
}

// subscription is what clients send with subscribe and unsubscribe, as laravel-echo does.
type subscription struct {
	Channel string `json:"channel"`
	Auth    struct {
		Headers map[string]string `json:"headers"`
	} `json:"auth"`
}

// event takes an event of the client, and acknowledges it when that is asked for.
func (s *session) event(text string) bool {
	digits := len(text) - len(strings.TrimLeft(text, "0123456789"))
	id, text := text[:digits], text[digits:]
	var list []json.RawMessage
	var name string
	if json.Unmarshal([]byte(text), &list) != nil || len(list) == 0 || json.Unmarshal(list[0], &name) != nil {
		return false
	}
	var want subscription
	if len(list) > 1 && (name == "subscribe" || name == "unsubscribe") && json.Unmarshal(list[1], &want) == nil {
		ok := true
		if name == "subscribe" {
			ok = s.subscribe(&want)
		} else {
			s.unsubscribe(want.Channel)
		}
		if !ok {
			return false
		}
	}
	return id == "" || s.send(engineMessage+socketAck+id+"[]")
}

// emit sends an event.
func (s *session) emit(args ...any) bool {
	text, err := json.Marshal(args)
	return err == nil && s.send(engineMessage+socketEvent+string(text))
}

// subscribe follows a token from now on. Who may not is told with subscription_error, as laravel-echo-server does.
func (s *session) subscribe(want *subscription) bool {
	b, after, err := s.find(want)
	if err != nil {
		return s.emit("subscription_error", want.Channel, event.KindOf(err).HTTPStatus())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.channels[want.Channel] != nil || s.ctx.Err() != nil {
		return true // is followed already
	}
	leave, err := s.api.Bins.Join(b.ID)
	if err != nil || len(s.channels) >= maxChannels {
		if err == nil {
			leave()
		}
		s.work.Go(func() { s.emit("subscription_error", want.Channel, http.StatusTooManyRequests) })
		return true
	}
	ctx, cancel := context.WithCancel(s.ctx)
	s.channels[want.Channel] = cancel
	s.work.Go(func() {
		defer leave()
		defer cancel()
		s.api.pump(ctx, b.ID, after, func(c *event.Capture) bool { return s.created(ctx, want.Channel, c) })
	})
	return true
}

// find finds the token of a channel, and the number of its last request.
func (s *session) find(want *subscription) (event.Bin, int64, error) {
	id, ok := strings.CutPrefix(strings.TrimPrefix(want.Channel, "private-"), "token.")
	if !ok {
		return event.Bin{}, 0, event.NotFound("channel")
	}
	for name, key := range want.Auth.Headers {
		if strings.EqualFold(name, "Api-Key") && key != "" {
			if _, err := s.api.Auth.Authenticate(s.ctx, key); err != nil {
				return event.Bin{}, 0, err
			}
		}
	}
	b, err := s.api.byID(s.ctx, id)
	if err != nil {
		return b, 0, err
	}
	stats, err := s.api.Bins.Stats(s.ctx, b.ID)
	return b, stats.Last, err
}

func (s *session) unsubscribe(channel string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel := s.channels[channel]; cancel != nil {
		cancel()
		delete(s.channels, channel)
	}
}

// created tells of a request. Their clients read variables, or, in one command, runtime_variables.
func (s *session) created(ctx context.Context, channel string, c *event.Capture) bool {
	stats, err := s.api.Bins.Stats(ctx, c.Bin)
	if err != nil {
		return false
	}
	r := requestOf(c)
	names := variables(c, &r)
	text, err := json.Marshal([]any{"request.created", channel, map[string]any{
		"request": r, "total": stats.Requests, "truncated": false, "variables": names, "runtime_variables": names,
	}})
	return err == nil && s.deliver(ctx, engineMessage+socketEvent+string(text))
}

// maxVariable is the largest body that is a variable too, in bytes: variables are for addresses and commands.
const maxVariable = 64 << 10

// variables are what Webhook.site calls base variables of a request.
func variables(c *event.Capture, r *request) map[string]string {
	path, query, _ := strings.Cut(c.Path, "?")
	if path == "" {
		path = "/"
	}
	all := map[string]string{
		"request.uuid": r.UUID, "request.token_id": r.TokenID, "request.content": string(c.Body), "request.date": r.CreatedAt,
		"request.hostname": r.Hostname, "request.size": strconv.Itoa(r.Size), "request.type": r.Type, "request.ip": r.IP, "request.url": r.URL,
		"request.path": path, "request.query": query, "request.method": r.Method, "request.user_agent": "",
	}
	if len(c.Body) > maxVariable {
		delete(all, "request.content")
	}
	if r.UserAgent != nil {
		all["request.user_agent"] = *r.UserAgent
	}
	for name, list := range r.Headers {
		all["request.header."+name] = list[0]
	}
	for _, p := range inspect.Parameters(&c.Request) {
		all["request.query."+p.Name] = p.Value
	}
	fields, files := inspect.Form(&c.Request)
	for _, p := range fields {
		all["request.form."+p.Name] = p.Value
	}
	for i, f := range files {
		prefix := "request.file." + f.Name + "."
		all[prefix+"filename"], all[prefix+"content_type"] = f.Filename, f.ContentType
		all[prefix+"size"], all[prefix+"id"] = strconv.Itoa(len(f.Body)), strconv.Itoa(i+1)
	}
	return all
}
