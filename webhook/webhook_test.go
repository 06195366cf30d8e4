package webhook_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	official "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/posthornhq/posthorn/webhook"
)

// The specification's test vectors.
const (
	vectorID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorSeconds   = 1614265330
	vectorBody      = `{"test": 2432232314}`
	vectorSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" //nolint:gosec // published with the specification
	vectorHMAC      = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	vectorPrivate   = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
	vectorPublic    = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
	vectorEd25519   = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
	vectorTimestamp = "1614265330"
)

func vectorTime() time.Time { return time.Unix(vectorSeconds, 0) }

func parse(t testing.TB, text string) webhook.Key {
	t.Helper()
	key, err := webhook.ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newSigner(t testing.TB, keys ...webhook.Key) *webhook.Signer {
	t.Helper()
	s, err := webhook.NewSigner(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newVerifier returns a Verifier whose clock stands at the vectors' time.
func newVerifier(t testing.TB, keys ...webhook.Key) *webhook.Verifier {
	t.Helper()
	v, err := webhook.NewVerifier(keys...)
	if err != nil {
		t.Fatal(err)
	}
	v.Now = vectorTime
	return v
}

func headers(id, timestamp, signature string) http.Header {
	h := http.Header{}
	h.Set(webhook.HeaderID, id)
	h.Set(webhook.HeaderTimestamp, timestamp)
	h.Set(webhook.HeaderSignature, signature)
	return h
}

func TestVectors(t *testing.T) {
	for name, c := range map[string]struct{ sign, verify, want string }{
		"v1":                  {vectorSecret, vectorSecret, vectorHMAC},
		"v1a":                 {vectorPrivate, vectorPublic, vectorEd25519},
		"v1a by the same key": {vectorPrivate, vectorPrivate, vectorEd25519},
	} {
		t.Run(name, func(t *testing.T) {
			signer := newSigner(t, parse(t, c.sign))
			got, err := signer.Sign(vectorID, vectorTime(), []byte(vectorBody))
			if err != nil {
				t.Fatal(err)
			}
			want := headers(vectorID, vectorTimestamp, c.want)
			for name := range want {
				if got.Get(name) != want.Get(name) {
					t.Errorf("%s is %q, want %q", name, got.Get(name), want.Get(name))
				}
			}
			if err := newVerifier(t, parse(t, c.verify)).Verify(got, []byte(vectorBody)); err != nil {
				t.Errorf("the vector does not verify: %v", err)
			}
		})
	}
	if got := parse(t, vectorPrivate).Public().Text(); got != vectorPublic {
		t.Errorf("the public key is %q, want %q", got, vectorPublic)
	}
}

func TestOfficialLibraryAccepts(t *testing.T) {
	for _, body := range []string{"", "{}", vectorBody, "\x00\xff.\r\n", strings.Repeat("x", 100_000)} {
		key := webhook.NewSecret()
		theirs, err := official.NewWebhook(key.Text())
		if err != nil {
			t.Fatal(err)
		}
		// The official library knows v1 only and has to pass over the v1a signature.
		ours := newSigner(t, webhook.NewPrivateKey(), webhook.NewSecret(), key)
		header, err := ours.Sign("msg_1", time.Now(), []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if err := theirs.Verify([]byte(body), header); err != nil {
			t.Errorf("the official library refuses a body of %d bytes: %v", len(body), err)
		}
	}
}

func TestOfficialLibraryIsAccepted(t *testing.T) {
	key := webhook.NewSecret()
	theirs, err := official.NewWebhook(key.Text())
	if err != nil {
		t.Fatal(err)
	}
	signature, err := theirs.Sign("msg_1", vectorTime(), []byte(vectorBody))
	if err != nil {
		t.Fatal(err)
	}
	v := newVerifier(t, key)
	if err := v.Verify(headers("msg_1", vectorTimestamp, signature), []byte(vectorBody)); err != nil {
		t.Errorf("a signature by the official library does not verify: %v", err)
	}
}

func TestRotation(t *testing.T) {
	old, next, stranger := webhook.NewSecret(), webhook.NewPrivateKey(), webhook.NewSecret()
	header, err := newSigner(t, next, old).Sign("msg_1", vectorTime(), []byte("body"))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(header.Get(webhook.HeaderSignature), " ")
	if len(parts) != 2 || !strings.HasPrefix(parts[0], "v1a,") || !strings.HasPrefix(parts[1], "v1,") {
		t.Errorf("the signatures are %q, want one of each key in order", parts)
	}
	for name, c := range map[string]struct {
		keys []webhook.Key
		want error
	}{
		"the old key only": {[]webhook.Key{old}, nil},
		"the new key only": {[]webhook.Key{next.Public()}, nil},
		"both keys":        {[]webhook.Key{stranger, next.Public(), old}, nil},
		"another key":      {[]webhook.Key{stranger, webhook.NewPrivateKey()}, webhook.ErrNoMatch},
	} {
		if err := newVerifier(t, c.keys...).Verify(header, []byte("body")); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	good := func() http.Header { return headers(vectorID, vectorTimestamp, vectorHMAC) }
	set := func(name, value string) http.Header {
		h := good()
		h.Set(name, value)
		return h
	}
	without := func(name string) http.Header {
		h := good()
		h.Del(name)
		return h
	}
	twice := func(name string) http.Header {
		h := good()
		h.Add(name, h.Get(name))
		return h
	}
	const id, stamp, sig = webhook.HeaderID, webhook.HeaderTimestamp, webhook.HeaderSignature
	for name, c := range map[string]struct {
		header http.Header
		body   string
		want   error
	}{
		"good":                 {good(), vectorBody, nil},
		"nil header":           {nil, vectorBody, webhook.ErrMissingHeader},
		"no id":                {without(id), vectorBody, webhook.ErrMissingHeader},
		"no timestamp":         {without(stamp), vectorBody, webhook.ErrMissingHeader},
		"no signature":         {without(sig), vectorBody, webhook.ErrMissingHeader},
		"empty id":             {set(id, ""), vectorBody, webhook.ErrMissingHeader},
		"empty signature":      {set(sig, ""), vectorBody, webhook.ErrMissingHeader},
		"two ids":              {twice(id), vectorBody, webhook.ErrDuplicateHeader},
		"two timestamps":       {twice(stamp), vectorBody, webhook.ErrDuplicateHeader},
		"two signatures":       {twice(sig), vectorBody, webhook.ErrDuplicateHeader},
		"long id":              {set(id, strings.Repeat("a", webhook.MaxID+1)), vectorBody, webhook.ErrHeaderTooLong},
		"long timestamp":       {set(stamp, strings.Repeat("1", 13)), vectorBody, webhook.ErrHeaderTooLong},
		"long signature":       {set(sig, strings.Repeat("a", webhook.MaxSignatureHeader+1)), vectorBody, webhook.ErrHeaderTooLong},
		"many signatures":      {set(sig, strings.Repeat("v2,a ", webhook.MaxSignatures)+vectorHMAC), vectorBody, webhook.ErrTooManySignatures},
		"most signatures":      {set(sig, strings.Repeat("v2,a ", webhook.MaxSignatures-1)+vectorHMAC), vectorBody, nil},
		"dot in the id":        {set(id, "msg.1"), vectorBody, webhook.ErrID},
		"space in the id":      {set(id, "msg 1"), vectorBody, webhook.ErrID},
		"timestamp a word":     {set(stamp, "now"), vectorBody, webhook.ErrTimestamp},
		"timestamp negative":   {set(stamp, "-1614265330"), vectorBody, webhook.ErrTimestamp},
		"timestamp with plus":  {set(stamp, "+1614265330"), vectorBody, webhook.ErrTimestamp},
		"timestamp with zero":  {set(stamp, "01614265330"), vectorBody, webhook.ErrTimestamp},
		"timestamp a fraction": {set(stamp, "1614265330.5"), vectorBody, webhook.ErrTimestamp},
		"timestamp hex":        {set(stamp, "0x60379f32"), vectorBody, webhook.ErrTimestamp},
		"timestamp past 9999":  {set(stamp, "999999999999"), vectorBody, webhook.ErrTimestamp},
		"other timestamp":      {set(stamp, "1614265331"), vectorBody, webhook.ErrNoMatch},
		"other id":             {set(id, vectorID+"x"), vectorBody, webhook.ErrNoMatch},
		"other body":           {good(), vectorBody + " ", webhook.ErrNoMatch},
		"no body":              {good(), "", webhook.ErrNoMatch},
		"unknown version":      {set(sig, "v2,"+vectorHMAC[3:]), vectorBody, webhook.ErrNoMatch},
		"unknown, then good":   {set(sig, "v2,x v1,AAAA junk , "+vectorHMAC), vectorBody, nil},
		"no version":           {set(sig, vectorHMAC[3:]), vectorBody, webhook.ErrNoMatch},
		"version in capitals":  {set(sig, "V1,"+vectorHMAC[3:]), vectorBody, webhook.ErrNoMatch},
		"version only":         {set(sig, "v1,"), vectorBody, webhook.ErrNoMatch},
		"cut short":            {set(sig, vectorHMAC[:len(vectorHMAC)-1]), vectorBody, webhook.ErrNoMatch},
		"too much":             {set(sig, vectorHMAC+"="), vectorBody, webhook.ErrNoMatch},
		"commas for spaces":    {set(sig, "v2,x,"+vectorHMAC), vectorBody, webhook.ErrNoMatch},
		"HMAC as v1a":          {set(sig, "v1a,"+vectorHMAC[3:]), vectorBody, webhook.ErrNoMatch},
		"v1a without the key":  {set(sig, vectorEd25519), vectorBody, webhook.ErrNoMatch},
	} {
		t.Run(name, func(t *testing.T) {
			if err := newVerifier(t, parse(t, vectorSecret)).Verify(c.header, []byte(c.body)); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestVerifyRefusesEd25519(t *testing.T) {
	loose := strings.Replace(vectorEd25519, "Ag==", "Ah==", 1)
	for name, c := range map[string]struct {
		signature, body string
		want            error
	}{
		"good":               {vectorEd25519, vectorBody, nil},
		"other body":         {vectorEd25519, vectorBody + " ", webhook.ErrNoMatch},
		"as v1":              {"v1," + vectorEd25519[4:], vectorBody, webhook.ErrNoMatch},
		"not base64":         {"v1a,!" + vectorEd25519[5:], vectorBody, webhook.ErrNoMatch},
		"cut short":          {vectorEd25519[:len(vectorEd25519)-4], vectorBody, webhook.ErrNoMatch},
		"loose bits":         {loose, vectorBody, webhook.ErrNoMatch},
		"line end":           {vectorEd25519[:50] + "\n" + vectorEd25519[50:], vectorBody, webhook.ErrNoMatch},
		"empty":              {"v1a,", vectorBody, webhook.ErrNoMatch},
		"second one is good": {"v1a,AAAA " + vectorEd25519, vectorBody, nil},
	} {
		v := newVerifier(t, parse(t, vectorPublic))
		if err := v.Verify(headers(vectorID, vectorTimestamp, c.signature), []byte(c.body)); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

func TestTolerance(t *testing.T) {
	for name, c := range map[string]struct {
		tolerance, age time.Duration
		want           error
	}{
		"exact":                      {0, 0, nil},
		"oldest allowed":             {0, webhook.DefaultTolerance, nil},
		"too old":                    {0, webhook.DefaultTolerance + time.Nanosecond, webhook.ErrTooOld},
		"newest allowed":             {0, -webhook.DefaultTolerance, nil},
		"too new":                    {0, -webhook.DefaultTolerance - time.Nanosecond, webhook.ErrTooNew},
		"own tolerance, inside":      {time.Hour, 59 * time.Minute, nil},
		"own tolerance, outside":     {time.Hour, 61 * time.Minute, webhook.ErrTooOld},
		"own tolerance, small":       {time.Second, -2 * time.Second, webhook.ErrTooNew},
		"older than a Duration goes": {0, 1 << 62, webhook.ErrTooOld},
	} {
		v := newVerifier(t, parse(t, vectorSecret))
		v.Tolerance = c.tolerance
		v.Now = func() time.Time { return vectorTime().Add(c.age) }
		if err := v.Verify(headers(vectorID, vectorTimestamp, vectorHMAC), []byte(vectorBody)); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

func TestClockIsTheRealOneByDefault(t *testing.T) {
	key := webhook.NewSecret()
	v, err := webhook.NewVerifier(key)
	if err != nil {
		t.Fatal(err)
	}
	header, err := newSigner(t, key).Sign("msg_1", time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Verify(header, nil); err != nil {
		t.Errorf("a message of now does not verify: %v", err)
	}
	if err := v.Verify(headers(vectorID, vectorTimestamp, vectorHMAC), []byte(vectorBody)); !errors.Is(err, webhook.ErrTooOld) {
		t.Errorf("a message of 2021: got %v, want ErrTooOld", err)
	}
}

func TestSignRefuses(t *testing.T) {
	signer := newSigner(t, webhook.NewSecret(), webhook.NewPrivateKey())
	for name, c := range map[string]struct {
		id   string
		at   time.Time
		want error
	}{
		"good":            {"msg_1", vectorTime(), nil},
		"longest id":      {strings.Repeat("a", webhook.MaxID), vectorTime(), nil},
		"epoch":           {"msg_1", time.Unix(0, 0), nil},
		"empty id":        {"", vectorTime(), webhook.ErrID},
		"long id":         {strings.Repeat("a", webhook.MaxID+1), vectorTime(), webhook.ErrID},
		"dot":             {"msg.1", vectorTime(), webhook.ErrID},
		"line end":        {"msg\r\nx: y", vectorTime(), webhook.ErrID},
		"space":           {"msg 1", vectorTime(), webhook.ErrID},
		"not ASCII":       {"mäg", vectorTime(), webhook.ErrID},
		"zero time":       {"msg_1", time.Time{}, webhook.ErrTimestamp},
		"after year 9999": {"msg_1", time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), webhook.ErrTimestamp},
	} {
		header, err := signer.Sign(c.id, c.at, nil)
		if !errors.Is(err, c.want) || (header != nil) != (c.want == nil) {
			t.Errorf("%s: got %v, %v, want %v", name, header, err, c.want)
		}
		dst := []byte("before")
		if out, err := signer.AppendSignature(dst, c.id, c.at, nil); err != nil && string(out) != "before" {
			t.Errorf("%s: a refused signature changed dst to %q", name, out)
		}
	}
}

func TestKeysOfSignerAndVerifier(t *testing.T) {
	many := make([]webhook.Key, webhook.MaxKeys+1)
	for i := range many {
		many[i] = webhook.NewSecret()
	}
	public := webhook.NewPrivateKey().Public()
	for name, c := range map[string]struct {
		keys         []webhook.Key
		sign, verify error
	}{
		"none":     {nil, webhook.ErrKeyCount, webhook.ErrKeyCount},
		"too many": {many, webhook.ErrKeyCount, webhook.ErrKeyCount},
		"most":     {many[1:], nil, nil},
		"empty":    {[]webhook.Key{webhook.NewSecret(), {}}, webhook.ErrSecretEmpty, webhook.ErrSecretEmpty},
		"public":   {[]webhook.Key{public}, webhook.ErrSecretPublic, nil},
	} {
		if _, err := webhook.NewSigner(c.keys...); !errors.Is(err, c.sign) {
			t.Errorf("%s: NewSigner gave %v, want %v", name, err, c.sign)
		}
		if _, err := webhook.NewVerifier(c.keys...); !errors.Is(err, c.verify) {
			t.Errorf("%s: NewVerifier gave %v, want %v", name, err, c.verify)
		}
	}
}

func TestZeroVerifierAcceptsNothing(t *testing.T) {
	empty := hmacOfEmptySecret(t)
	v := &webhook.Verifier{Now: vectorTime}
	for _, signature := range []string{empty, vectorHMAC, vectorEd25519, "v1,", "v1a,", "v1", ","} {
		if err := v.Verify(headers(vectorID, vectorTimestamp, signature), []byte(vectorBody)); !errors.Is(err, webhook.ErrNoMatch) {
			t.Errorf("signature %q: got %v, want ErrNoMatch", signature, err)
		}
	}
}

// hmacOfEmptySecret returns what anyone can compute when a receiver's secret is empty.
func hmacOfEmptySecret(t *testing.T) string {
	t.Helper()
	theirs, err := official.NewWebhookRaw(nil)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := theirs.Sign(vectorID, vectorTime(), []byte(vectorBody))
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

func TestAppendSignature(t *testing.T) {
	signer := newSigner(t, parse(t, vectorSecret), parse(t, vectorPrivate))
	got, err := signer.AppendSignature([]byte("x="), vectorID, vectorTime(), []byte(vectorBody))
	if want := "x=" + vectorHMAC + " " + vectorEd25519; err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestConcurrentUse(t *testing.T) {
	keys := []webhook.Key{webhook.NewSecret(), webhook.NewPrivateKey(), webhook.NewSecret()}
	signer, verifier := newSigner(t, keys...), newVerifier(t, keys...)
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 50 {
				body := bytes.Repeat([]byte{byte(worker)}, i*100)
				header, err := signer.Sign("msg_"+strconv.Itoa(i), vectorTime(), body)
				if err != nil {
					t.Error(err)
					return
				}
				if err := verifier.Verify(header, body); err != nil {
					t.Errorf("worker %d, message %d: %v", worker, i, err)
				}
			}
		})
	}
	group.Wait()
}

func TestSigningDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector drops pool entries at random; only the result is checked")
	}
	signer := newSigner(t, webhook.NewSecret())
	body := bytes.Repeat([]byte("x"), 700)
	dst := make([]byte, 0, 64)
	allocs := testing.AllocsPerRun(1000, func() {
		if _, err := signer.AppendSignature(dst, vectorID, vectorTime(), body); err != nil {
			t.Fatal(err)
		}
	})
	if !raceEnabled && allocs > 0 {
		t.Errorf("a signature allocates %v times, want 0", allocs)
	}
}

func FuzzVerify(f *testing.F) {
	f.Add(vectorID, vectorTimestamp, vectorHMAC, []byte(vectorBody))
	f.Add(vectorID, vectorTimestamp, vectorEd25519, []byte(vectorBody))
	f.Add(vectorID, vectorTimestamp, "v2,a  v1,"+vectorHMAC, []byte(vectorBody))
	f.Add("a.b", "01", "v1, v1a,", []byte{})
	f.Add("", "-1", ",", []byte("."))
	verifier := newVerifier(f, parse(f, vectorSecret), parse(f, vectorPublic))
	f.Fuzz(func(t *testing.T, id, timestamp, signature string, body []byte) {
		if verifier.Verify(headers(id, timestamp, signature), body) != nil {
			return
		}
		if id != vectorID || timestamp != vectorTimestamp || string(body) != vectorBody {
			t.Errorf("a message that nobody signed verifies: %q %q %q %q", id, timestamp, signature, body)
		}
	})
}

func FuzzParseKey(f *testing.F) {
	for _, seed := range []string{vectorSecret, vectorPrivate, vectorPublic, "whsec_", "whsk_=", "whpk_\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		key, err := webhook.ParseKey(text)
		if err == nil && key.Text() != text {
			t.Errorf("%q was read as %q", text, key.Text())
		}
	})
}

func FuzzSign(f *testing.F) {
	f.Add("msg_1", int64(vectorSeconds), []byte(vectorBody))
	f.Add("a.b", int64(-1), []byte{})
	f.Add(strings.Repeat("~", webhook.MaxID), int64(253402300799), []byte{0})
	key := webhook.NewSecret()
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(key.Text(), webhook.PrefixSecret))
	if err != nil {
		f.Fatal(err)
	}
	theirs, err := official.NewWebhookRaw(raw)
	if err != nil {
		f.Fatal(err)
	}
	signer, verifier := newSigner(f, key), newVerifier(f, key)
	verifier.Now = nil
	f.Fuzz(func(t *testing.T, id string, seconds int64, body []byte) {
		at := time.Unix(seconds, 0)
		header, err := signer.Sign(id, at, body)
		if err != nil {
			return
		}
		want, err := theirs.Sign(id, at, body)
		if got := header.Get(webhook.HeaderSignature); err != nil || got != want {
			t.Errorf("got %q, the official library %q, %v", got, want, err)
		}
		if err := verifier.Verify(header, body); err != nil && !errors.Is(err, webhook.ErrTooOld) && !errors.Is(err, webhook.ErrTooNew) {
			t.Errorf("what was signed does not verify: %v", err)
		}
	})
}

func BenchmarkAppendSignature(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 700)
	for name, key := range map[string]webhook.Key{"v1": webhook.NewSecret(), "v1a": webhook.NewPrivateKey()} {
		b.Run(name, func(b *testing.B) {
			signer := newSigner(b, key)
			dst := make([]byte, 0, 128)
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if _, err := signer.AppendSignature(dst, vectorID, vectorTime(), body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 700)
	for name, key := range map[string]webhook.Key{"v1": webhook.NewSecret(), "v1a": webhook.NewPrivateKey()} {
		b.Run(name, func(b *testing.B) {
			header, err := newSigner(b, key).Sign(vectorID, vectorTime(), body)
			if err != nil {
				b.Fatal(err)
			}
			verifier := newVerifier(b, key)
			b.ReportAllocs()
			for b.Loop() {
				if err := verifier.Verify(header, body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
