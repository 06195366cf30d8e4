package hooksite

import (
	"context"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Limits of Webhook.site.
const (
	maxTimeout  = 30     // s
	maxListen   = 10     // s
	maxExpiry   = 604800 // s, of tokens made without a key
	maxJSONBody = 16 << 20
	timeFormat  = "2006-01-02 15:04:05"
)

const defaultType = "text/html"

// token is a bin as Webhook.site shows it. Members that have no meaning here are there with the value that says so.
type token struct {
	UUID               string  `json:"uuid"`
	Redirect           bool    `json:"redirect"`
	Alias              *string `json:"alias"`
	Actions            bool    `json:"actions"`
	CORS               bool    `json:"cors"`
	Expiry             any     `json:"expiry"` // seconds from created_at, or false
	Timeout            int     `json:"timeout"`
	Listen             int     `json:"listen"`
	Premium            bool    `json:"premium"`
	UserID             *int    `json:"user_id"`
	Password           bool    `json:"password"`
	IP                 string  `json:"ip"`
	UserAgent          string  `json:"user_agent"`
	DefaultContent     string  `json:"default_content"`
	DefaultStatus      int     `json:"default_status"`
	DefaultContentType string  `json:"default_content_type"`
	RequestLimit       int     `json:"request_limit"`
	Description        *string `json:"description"`
	GroupID            *int    `json:"group_id"`
	PremiumExpiresAt   *string `json:"premium_expires_at"`
	CreatedAt          string  `json:"created_at"`
	UpdatedAt          string  `json:"updated_at"`
	ExpiresAt          *string `json:"expires_at"`
	LatestRequestID    *string `json:"latest_request_id"`
	LatestRequestAt    *string `json:"latest_request_at"`
	Requests           int64   `json:"requests"`
}

// tokenOf is what a bin's own members show, without its figures.
func tokenOf(b *event.Bin) token {
	t := token{
		UUID: b.ID, CORS: b.CORS, Expiry: false, Timeout: int(b.Delay / time.Second), Listen: int(b.Hold / time.Second), Premium: b.Tenant != 0,
		DefaultContent: string(b.Answer.Body), DefaultStatus: b.Answer.Status, DefaultContentType: defaultType, RequestLimit: b.Keep,
		CreatedAt: b.Created.UTC().Format(timeFormat), UpdatedAt: b.Updated.UTC().Format(timeFormat),
	}
	if t.DefaultStatus == 0 {
		t.DefaultStatus = http.StatusOK
	}
	for _, h := range b.Answer.Headers {
		if strings.EqualFold(h.Name, "Content-Type") {
			t.DefaultContentType = h.Value
		}
	}
	if b.Alias != "" {
		t.Alias = &b.Alias
	}
	if b.Description != "" {
		t.Description = &b.Description
	}
	if !b.Expires.IsZero() {
		text := b.Expires.UTC().Format(timeFormat)
		t.ExpiresAt, t.Expiry = &text, int(math.Round(b.Expires.Sub(b.Created).Seconds()))
	}
	return t
}

// show is a bin with its figures.
func (a *API) show(ctx context.Context, b *event.Bin) (token, error) {
	t := tokenOf(b)
	stats, err := a.Bins.Stats(ctx, b.ID)
	if err != nil {
		return t, err
	}
	t.Requests = stats.Requests
	if stats.Requests > 0 {
		latest, err := a.Bins.Capture(ctx, b.ID, "latest")
		switch {
		case err == nil:
			at := latest.At.UTC().Format(timeFormat)
			t.LatestRequestID, t.LatestRequestAt = &latest.ID, &at
		case event.KindOf(err) != event.KindNotFound:
			return t, err
		}
	}
	return t, nil
}

// serveToken routes what is at /token and below; path is what follows it.
func (a *API) serveToken(w http.ResponseWriter, r *http.Request, path []string) error {
	switch {
	case len(path) == 0:
		switch r.Method {
		case http.MethodPost:
			return a.makeToken(w, r)
		case http.MethodGet, http.MethodHead:
			return a.listTokens(w, r)
		}
		methods(w, "GET", "POST")
		return nil
	case len(path) == 1:
		return a.oneToken(w, r, path[0])
	case len(path) == 3 && path[1] == "cors" && path[2] == "toggle":
		if r.Method != http.MethodPut {
			methods(w, "PUT")
			return nil
		}
		return a.toggleCORS(w, r, path[0])
	case path[1] == "request" || path[1] == "requests":
		return a.serveRequests(w, r, path[0], path[2:])
	}
	return event.NotFound("resource")
}

func (a *API) oneToken(w http.ResponseWriter, r *http.Request, id string) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		b, err := a.readable(r, id)
		if err != nil {
			return err
		}
		return a.reply(w, r, http.StatusOK, &b)
	case http.MethodPut, http.MethodPatch:
		return a.changeToken(w, r, id)
	case http.MethodDelete:
		b, err := a.writable(r, id)
		if err != nil {
			return err
		}
		if err := a.Bins.Delete(r.Context(), b.ID, 0); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	methods(w, "GET", "PUT", "DELETE")
	return nil
}

func (a *API) reply(w http.ResponseWriter, r *http.Request, status int, b *event.Bin) error {
	t, err := a.show(r.Context(), b)
	if err != nil {
		return err
	}
	writeJSON(w, status, t)
	return nil
}

func (a *API) makeToken(w http.ResponseWriter, r *http.Request) error {
	tenant, keyed, err := a.maker(r)
	if err != nil {
		return err
	}
	want, err := readWish(w, r)
	if err != nil {
		return err
	}
	now := a.Clock().UTC()
	b := event.Bin{Keep: event.DefaultBinKept, Created: now, Refuse: !keyed}
	if !keyed {
		b.Expires = now.Add(maxExpiry * time.Second)
	}
	if id := want.text("clone_from"); id != "" {
		template, err := a.readable(r, id)
		if err != nil {
			return err
		}
		b.Answer, b.Delay, b.Hold, b.CORS, b.Keep = template.Answer, template.Delay, template.Hold, template.CORS, template.Keep
	}
	if err := want.apply(&b, now, keyed); err != nil {
		return err
	}
	if b, err = a.Bins.Create(r.Context(), tenant, b); err != nil {
		return inTheirWords(err)
	}
	return a.reply(w, r, http.StatusCreated, &b)
}

func (a *API) changeToken(w http.ResponseWriter, r *http.Request, id string) error {
	b, err := a.writable(r, id)
	if err != nil {
		return err
	}
	want, err := readWish(w, r)
	if err != nil {
		return err
	}
	if err := want.apply(&b, a.Clock().UTC(), b.Tenant != 0 || !a.Anonymous); err != nil {
		return err
	}
	if b, err = a.Bins.Update(r.Context(), b, b.Revision); err != nil {
		return inTheirWords(err)
	}
	return a.reply(w, r, http.StatusOK, &b)
}

func (a *API) toggleCORS(w http.ResponseWriter, r *http.Request, id string) error {
	b, err := a.writable(r, id)
	if err != nil {
		return err
	}
	b.CORS = !b.CORS
	if b, err = a.Bins.Update(r.Context(), b, b.Revision); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]bool{"enabled": b.CORS})
	return nil
}

// maxListed is how many bins are looked at for a list.
const maxListed = 10_000

// tokenList is a page of tokens, as their framework writes it.
type tokenList struct {
	CurrentPage int     `json:"current_page"`
	Data        []token `json:"data"`
	First       string  `json:"first_page_url"`
	From        *int    `json:"from"`
	LastPage    int     `json:"last_page"`
	Last        string  `json:"last_page_url"`
	Next        *string `json:"next_page_url"`
	Path        string  `json:"path"`
	PerPage     int     `json:"per_page"`
	Previous    *string `json:"prev_page_url"`
	To          *int    `json:"to"`
	Total       int     `json:"total"`
}

func (a *API) listTokens(w http.ResponseWriter, r *http.Request) error {
	k, given, err := a.key(r)
	if err != nil {
		return err
	}
	if !given {
		return event.Errorf(event.KindUnauthorized, "unauthorized", "to list tokens, send an API key in the header Api-Key")
	}
	if !k.Admin && !may(&k, k.Tenant, event.AllowRead) {
		return event.Errorf(event.KindForbidden, "forbidden", "this key may not read here")
	}
	page, perPage, err := paging(r)
	if err != nil {
		return err
	}
	tenant := k.Tenant
	if k.Admin {
		tenant = 0
	}
	all, err := a.allBins(r.Context(), tenant)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	if query.Get("order_by") != "token_id" {
		slices.SortStableFunc(all, func(x, y event.Bin) int { return x.Created.Compare(y.Created) })
	}
	if strings.EqualFold(query.Get("order_direction"), "desc") {
		slices.Reverse(all)
	}
	base := a.PublicURL + "/token"
	link := func(n int) string { return base + "?page=" + strconv.Itoa(n) }
	list := tokenList{CurrentPage: page, Data: []token{}, LastPage: max(1, (len(all)+perPage-1)/perPage), Path: base, PerPage: perPage, Total: len(all), First: link(1)}
	list.Last = link(list.LastPage)
	start := min((page-1)*perPage, len(all))
	for _, b := range all[start:min(start+perPage, len(all))] {
		t, err := a.show(r.Context(), &b)
		if err != nil {
			if event.KindOf(err) == event.KindNotFound {
				continue // deleted meanwhile
			}
			return err
		}
		list.Data = append(list.Data, t)
	}
	if n := len(list.Data); n > 0 {
		from, to := start+1, start+n
		list.From, list.To = &from, &to
	}
	if page < list.LastPage {
		next := link(page + 1)
		list.Next = &next
	}
	if page > 1 {
		previous := link(page - 1)
		list.Previous = &previous
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}

// allBins lists by ID those that have not expired.
func (a *API) allBins(ctx context.Context, tenant event.TenantID) ([]event.Bin, error) {
	const step = 1000
	var all []event.Bin
	after := ""
	for len(all) < maxListed {
		list, err := a.Bins.Bins(ctx, tenant, after, step)
		if err != nil {
			return nil, err
		}
		for i := range list {
			if !a.Bins.Expired(&list[i]) {
				all = append(all, list[i])
			}
		}
		if len(list) < step {
			break
		}
		after = list[len(list)-1].ID
	}
	return all, nil
}

// paging reads page (1 when it is missing) and per_page (50; 100 at most).
func paging(r *http.Request) (page, perPage int, err error) {
	query := r.URL.Query()
	page, perPage = 1, 50
	for _, p := range []struct {
		name string
		n    *int
		top  int
	}{{"page", &page, 1_000_000}, {"per_page", &perPage, 100}} {
		text := query.Get(p.name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return 0, 0, event.Invalid(p.name, "must be a number of 1 or more")
		}
		*p.n = min(max(n, 1), p.top)
	}
	return page, perPage, nil
}
