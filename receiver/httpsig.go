package receiver

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/dunglas/httpsfv"
)

// Limits of HTTP message signatures.
const (
	maxMessageSignatures = 8
	maxComponents        = 64
	maxSignatureHeader   = 16 << 10 // bytes
)

// The algorithms of RFC 9421, section 3.3.
const (
	algRSAPSS    = "rsa-pss-sha512"
	algRSA       = "rsa-v1_5-sha256"
	algHMAC      = "hmac-sha256"
	algECDSAP256 = "ecdsa-p256-sha256"
	algECDSAP384 = "ecdsa-p384-sha384"
	algEd25519   = "ed25519"
)

// messageSignature is one signature of a request as RFC 9421 describes it.
type messageSignature struct {
	label      string
	components []httpsfv.Item
	covered    map[string]bool // serialised component identifiers, such as `"content-digest"`
	params     httpsfv.InnerList
	alg, keyID string
	created    time.Time // zero: it says nothing
	expires    time.Time // zero: it says nothing
	signature  []byte
}

// parseMessageSignatures reads the fields Signature-Input and Signature. Signatures whose input is missing are left out.
func parseMessageSignatures(header http.Header) ([]messageSignature, error) {
	inputs, err := dictionary(header, "Signature-Input")
	if err != nil {
		return nil, err
	}
	values, err := dictionary(header, "Signature")
	if err != nil {
		return nil, err
	}
	var all []messageSignature
	for _, label := range inputs.Names() {
		member, _ := inputs.Get(label)
		list, ok := member.(httpsfv.InnerList)
		if !ok {
			return nil, fmt.Errorf("signature-input: %s is not a list", label)
		}
		member, _ = values.Get(label)
		item, ok := member.(httpsfv.Item)
		if !ok {
			continue
		}
		value, ok := item.Value.([]byte)
		if !ok {
			return nil, fmt.Errorf("signature: %s is not bytes", label)
		}
		// Only the one way to write these bytes, so that nobody can make other signatures of it.
		if !strings.Contains(strings.Join(header.Values("Signature"), ","), ":"+base64.StdEncoding.EncodeToString(value)+":") {
			return nil, fmt.Errorf("signature: %s is not padded base64", label)
		}
		s := messageSignature{label: label, params: list, components: list.Items, signature: value}
		if err := s.readParams(); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	if len(all) == 0 || len(all) > maxMessageSignatures {
		return nil, errors.New("there is no signature, or too many")
	}
	return all, nil
}

func dictionary(header http.Header, name string) (*httpsfv.Dictionary, error) {
	values, size := header.Values(name), 0
	for _, v := range values {
		size += len(v)
	}
	if size == 0 || size > maxSignatureHeader {
		return nil, fmt.Errorf("%s is missing or too long", strings.ToLower(name))
	}
	d, err := httpsfv.UnmarshalDictionary(values)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read", strings.ToLower(name))
	}
	return d, nil
}

// readParams checks the component identifiers, of which none may be twice, and reads the parameters.
func (s *messageSignature) readParams() error {
	if len(s.components) > maxComponents {
		return errors.New("signature-input: too many components")
	}
	s.covered = make(map[string]bool, len(s.components))
	for _, c := range s.components {
		name, ok := c.Value.(string)
		id, err := httpsfv.Marshal(c)
		if !ok || err != nil || name == "" || name != strings.ToLower(name) {
			return errors.New("signature-input: a component's name is wrong")
		}
		if s.covered[id] {
			return errors.New("signature-input: a component is named twice")
		}
		s.covered[id] = true
	}
	var err error
	if s.alg, err = textParam(s.params.Params, "alg"); err != nil {
		return err
	}
	if s.keyID, err = textParam(s.params.Params, "keyid"); err != nil {
		return err
	}
	if s.created, err = timeParam(s.params.Params, "created"); err != nil {
		return err
	}
	s.expires, err = timeParam(s.params.Params, "expires")
	return err
}

func textParam(params *httpsfv.Params, name string) (string, error) {
	value, ok := params.Get(name)
	if !ok {
		return "", nil
	}
	text, ok := value.(string)
	if !ok {
		return "", fmt.Errorf("signature-input: %s is not a text", name)
	}
	return text, nil
}

func timeParam(params *httpsfv.Params, name string) (time.Time, error) {
	value, ok := params.Get(name)
	if !ok {
		return time.Time{}, nil
	}
	seconds, ok := value.(int64)
	if !ok || seconds <= 0 {
		return time.Time{}, fmt.Errorf("signature-input: %s is not a time", name)
	}
	return time.Unix(seconds, 0), nil
}

// covers says whether all of these fields or derived components, without parameters of their own, are signed.
func (s *messageSignature) covers(names ...string) bool {
	for _, name := range names {
		if !s.covered[strconv.Quote(name)] {
			return false
		}
	}
	return true
}

// base makes the signature base (RFC 9421, section 2.5) of a request that was sent to a URL.
func (s *messageSignature) base(r *http.Request, target *url.URL) ([]byte, error) {
	var b bytes.Buffer
	for _, c := range s.components {
		id, err := httpsfv.Marshal(c)
		if err != nil {
			return nil, fmt.Errorf("signature-input: %w", err)
		}
		value, err := componentValue(c, r, target)
		if err != nil {
			return nil, err
		}
		if strings.ContainsAny(value, "\r\n") {
			return nil, errors.New("a component has a line end in it")
		}
		b.WriteString(id)
		b.WriteString(": ")
		b.WriteString(value)
		b.WriteByte('\n')
	}
	params, err := httpsfv.Marshal(s.params)
	if err != nil {
		return nil, fmt.Errorf("signature-input: %w", err)
	}
	b.WriteString(`"@signature-params": `)
	b.WriteString(params)
	return b.Bytes(), nil
}

func componentValue(c httpsfv.Item, r *http.Request, target *url.URL) (string, error) {
	name, _ := c.Value.(string)
	params := c.Params.Names()
	if name == "@query-param" {
		return queryParam(c, target)
	}
	if strings.HasPrefix(name, "@") {
		if len(params) > 0 {
			return "", fmt.Errorf("the component %q has a parameter that is not known", name)
		}
		return derivedComponent(name, r, target)
	}
	return fieldComponent(name, c, r)
}

// derivedComponent returns a part of the request that is no field (RFC 9421, section 2.2).
func derivedComponent(name string, r *http.Request, target *url.URL) (string, error) {
	switch name {
	case "@method":
		return r.Method, nil
	case "@target-uri":
		return target.String(), nil
	case "@authority":
		return authority(target), nil
	case "@scheme":
		return strings.ToLower(target.Scheme), nil
	case "@request-target":
		if target.RawQuery != "" || target.ForceQuery {
			return targetPath(target) + "?" + target.RawQuery, nil
		}
		return targetPath(target), nil
	case "@path":
		return targetPath(target), nil
	case "@query":
		return "?" + target.RawQuery, nil
	}
	return "", fmt.Errorf("the component %q is not one of a request", name)
}

func authority(target *url.URL) string {
	host := strings.ToLower(target.Host)
	usual := map[string]string{"https": ":443", "http": ":80"}[strings.ToLower(target.Scheme)]
	return strings.TrimSuffix(host, usual)
}

func targetPath(target *url.URL) string {
	if path := target.EscapedPath(); path != "" {
		return path
	}
	return "/"
}

// queryParam returns one parameter of the query, encoded anew (RFC 9421, section 2.2.8). One that is there twice is refused: which
// of them a program would read is anybody's guess.
func queryParam(c httpsfv.Item, target *url.URL) (string, error) {
	value, _ := c.Params.Get("name")
	encoded, ok := value.(string)
	if !ok || len(c.Params.Names()) != 1 {
		return "", errors.New("the component \"@query-param\" needs one name")
	}
	name, err := url.QueryUnescape(encoded)
	if err != nil {
		return "", errors.New("the component \"@query-param\" has a name that cannot be read")
	}
	query, err := url.ParseQuery(target.RawQuery)
	if err != nil || len(query[name]) != 1 {
		return "", errors.New("the component \"@query-param\" is not there once")
	}
	return strings.ReplaceAll(url.QueryEscape(query[name][0]), "+", "%20"), nil
}

// fieldComponent returns a header field's value (RFC 9421, section 2.1): its lines joined, or one member of a dictionary (key), or
// its lines as byte sequences (bs).
func fieldComponent(name string, c httpsfv.Item, r *http.Request) (string, error) {
	values := r.Header.Values(name)
	switch {
	case name == "host":
		values = []string{r.Host}
	case name == "content-length" && len(values) == 0 && r.ContentLength >= 0:
		values = []string{strconv.FormatInt(r.ContentLength, 10)}
	}
	if len(values) == 0 {
		return "", fmt.Errorf("the field %q is signed and not there", name)
	}
	lines := make([]string, len(values))
	for i, v := range values {
		lines[i] = strings.Trim(v, " \t")
	}
	params := c.Params.Names()
	if len(params) == 0 {
		return strings.Join(lines, ", "), nil
	}
	if len(params) > 1 {
		return "", fmt.Errorf("the component %q has parameters that do not go together", name)
	}
	value, _ := c.Params.Get(params[0])
	switch params[0] {
	case "bs":
		for i, v := range lines {
			lines[i] = ":" + base64.StdEncoding.EncodeToString([]byte(v)) + ":"
		}
		return strings.Join(lines, ", "), nil
	case "key":
		key, _ := value.(string)
		d, err := httpsfv.UnmarshalDictionary(values)
		if err != nil {
			return "", fmt.Errorf("the field %q is no dictionary", name)
		}
		member, ok := d.Get(key)
		if !ok {
			return "", fmt.Errorf("the field %q lacks a member that is signed", name)
		}
		return httpsfv.Marshal(member)
	}
	return "", fmt.Errorf("the component %q has a parameter that is not known", name)
}

// verify checks the signature over a base. The key says which algorithms there can be; what the signature says must be one of them.
func (s *messageSignature) verify(key any, base []byte) bool {
	switch k := key.(type) {
	case []byte:
		if len(k) == 0 || !s.algIs(algHMAC) {
			return false
		}
		mac := hmac.New(sha256.New, k)
		mac.Write(base)
		return hmac.Equal(mac.Sum(nil), s.signature)
	case ed25519.PublicKey:
		return s.algIs(algEd25519) && ed25519.Verify(k, base, s.signature)
	case *ecdsa.PublicKey:
		return s.verifyECDSA(k, base)
	case *rsa.PublicKey:
		if s.alg == algRSA {
			return verifyRSA256(k, base, s.signature)
		}
		sum := sha512.Sum512(base)
		return s.algIs(algRSAPSS) && rsa.VerifyPSS(k, crypto.SHA512, sum[:], s.signature, &rsa.PSSOptions{SaltLength: 64}) == nil
	}
	return false
}

// algIs says whether the signature names an algorithm, or none at all.
func (s *messageSignature) algIs(alg string) bool { return s.alg == "" || s.alg == alg }

func (s *messageSignature) verifyECDSA(key *ecdsa.PublicKey, base []byte) bool {
	var sum []byte
	switch key.Curve {
	case elliptic.P256():
		if !s.algIs(algECDSAP256) {
			return false
		}
		h := sha256.Sum256(base)
		sum = h[:]
	case elliptic.P384():
		if !s.algIs(algECDSAP384) {
			return false
		}
		h := sha512.Sum384(base)
		sum = h[:]
	default:
		return false
	}
	// r and s one after the other, each as long as the curve.
	half := key.Curve.Params().BitSize / 8
	if len(s.signature) != 2*half {
		return false
	}
	return ecdsa.Verify(key, sum, new(big.Int).SetBytes(s.signature[:half]), new(big.Int).SetBytes(s.signature[half:]))
}

// verifyContentDigest checks the field Content-Digest (RFC 9530): it must have a SHA-256 or SHA-512, and each that it has must be
// that of the body.
func verifyContentDigest(header http.Header, body []byte) error {
	d, err := dictionary(header, "Content-Digest")
	if err != nil {
		return err
	}
	known := 0
	for _, name := range d.Names() {
		var sum []byte
		switch name {
		case "sha-256":
			h := sha256.Sum256(body)
			sum = h[:]
		case "sha-512":
			h := sha512.Sum512(body)
			sum = h[:]
		default:
			continue
		}
		member, _ := d.Get(name)
		item, _ := member.(httpsfv.Item)
		got, ok := item.Value.([]byte)
		if !ok || subtle.ConstantTimeCompare(got, sum) != 1 {
			return errors.New("content-digest is not the body's")
		}
		known++
	}
	if known == 0 {
		return errors.New("content-digest has no sha-256 and no sha-512")
	}
	return nil
}
