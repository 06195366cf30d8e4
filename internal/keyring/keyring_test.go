package keyring_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/mac"

	"github.com/posthornhq/posthorn/internal/keyring"
)

func open(t testing.TB, source keyring.Source) *keyring.Keyring {
	t.Helper()
	k, err := keyring.Open(source)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func seal(t testing.TB, k *keyring.Keyring, plaintext, place string) []byte {
	t.Helper()
	sealed, err := k.Seal([]byte(plaintext), []byte(place))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func opens(t testing.TB, k *keyring.Keyring, sealed []byte, place, want string) {
	t.Helper()
	if got, err := k.Open(sealed, []byte(place)); err != nil || string(got) != want {
		t.Errorf("opened %q, %v, want %q", got, err, want)
	}
}

// names returns what is in a folder.
func names(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestSealAndOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	k := open(t, keyring.Source{Path: path})
	for _, plaintext := range []string{"", "whsec_x", strings.Repeat("x", 100_000)} {
		sealed := seal(t, k, plaintext, "tenant 1, endpoint 2")
		if len(sealed) != len(plaintext)+33 {
			t.Errorf("sealing adds %d bytes, want 33", len(sealed)-len(plaintext))
		}
		if plaintext != "" && bytes.Contains(sealed, []byte(plaintext)) {
			t.Error("the sealed value holds the plaintext")
		}
		opens(t, k, sealed, "tenant 1, endpoint 2", plaintext)
		opens(t, open(t, keyring.Source{Path: path}), sealed, "tenant 1, endpoint 2", plaintext)
	}
	if bytes.Equal(seal(t, k, "same", ""), seal(t, k, "same", "")) {
		t.Error("the same plaintext is sealed the same way twice")
	}
}

func TestOpenRefuses(t *testing.T) {
	k := open(t, keyring.Source{Path: filepath.Join(t.TempDir(), "key")})
	other := open(t, keyring.Source{Path: filepath.Join(t.TempDir(), "key")})
	sealed := seal(t, k, "secret", "here")
	altered := bytes.Clone(sealed)
	altered[len(altered)-1] ^= 1
	for name, c := range map[string]struct {
		sealed []byte
		place  string
		want   error
	}{
		"good":             {sealed, "here", nil},
		"elsewhere":        {sealed, "there", keyring.ErrCorrupt},
		"altered":          {altered, "here", keyring.ErrCorrupt},
		"cut short":        {sealed[:len(sealed)-1], "here", keyring.ErrCorrupt},
		"prefix only":      {sealed[:5], "here", keyring.ErrCorrupt},
		"nothing":          {nil, "here", keyring.ErrCorrupt},
		"never sealed":     {[]byte("whsec_plain"), "here", keyring.ErrCorrupt},
		"by another key":   {seal(t, other, "secret", "here"), "here", keyring.ErrWrongKey},
		"key id is broken": {append([]byte{1, 0, 0, 0, 0}, sealed[5:]...), "here", keyring.ErrWrongKey},
	} {
		got, err := k.Open(c.sealed, []byte(c.place))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		if err != nil && (got != nil || strings.Contains(err.Error(), "secret\"")) {
			t.Errorf("%s: a refusal returned %q, %v", name, got, err)
		}
	}
}

func TestKeyFileIsPrivateAndAlone(t *testing.T) {
	folder := t.TempDir()
	k := open(t, keyring.Source{Path: filepath.Join(folder, "key")})
	for _, step := range []string{"made", "rotated"} {
		info, err := os.Stat(filepath.Join(folder, "key"))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != 0o600 {
			t.Errorf("%s: the key file's mode is %v, want 0600", step, info.Mode())
		}
		if got := names(t, folder); len(got) != 1 {
			t.Errorf("%s: the folder holds %v, want the key only", step, got)
		}
		if err := k.Rotate(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenRefusesKeyFiles(t *testing.T) {
	good := filepath.Join(t.TempDir(), "key")
	open(t, keyring.Source{Path: good})
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	macs, err := keyset.NewHandle(mac.HMACSHA256Tag256KeyTemplate())
	if err != nil {
		t.Fatal(err)
	}
	var otherKind bytes.Buffer
	if err := insecurecleartextkeyset.Write(macs, keyset.NewJSONWriter(&otherKind)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data []byte
		mode fs.FileMode
		want error
	}{
		"good":             {data, 0o600, nil},
		"read-only":        {data, 0o400, nil},
		"read by group":    {data, 0o640, keyring.ErrPermissions},
		"read by all":      {data, 0o604, keyring.ErrPermissions},
		"written by group": {data, 0o620, keyring.ErrPermissions},
		"empty":            {nil, 0o600, keyring.ErrCorruptKeyset},
		"cut short":        {data[:len(data)/2], 0o600, keyring.ErrCorruptKeyset},
		"no keys":          {[]byte("{}"), 0o600, keyring.ErrCorruptKeyset},
		"no primary":       {bytes.Replace(data, []byte(`"primaryKeyId":`), []byte(`"primaryKeyId":1`), 1), 0o600, keyring.ErrCorruptKeyset},
		"no key enabled":   {bytes.Replace(data, []byte("ENABLED"), []byte("DISABLED"), 1), 0o600, keyring.ErrCorruptKeyset},
		"keys for MACs":    {otherKind.Bytes(), 0o600, keyring.ErrCorruptKeyset},
		"too large":        {bytes.Repeat([]byte(" "), 1<<20), 0o600, keyring.ErrCorruptKeyset},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(path, c.data, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, c.mode); err != nil {
				t.Fatal(err)
			}
			_, err := keyring.Open(keyring.Source{Path: path})
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if errors.Is(c.want, keyring.ErrPermissions) && !strings.Contains(err.Error(), "chmod 600") {
				t.Errorf("the error does not say what to do: %v", err)
			}
			if after, err := os.ReadFile(path); err == nil && !bytes.Equal(after, c.data) {
				t.Error("the file was changed")
			}
		})
	}
	if _, err := keyring.Open(keyring.Source{Path: t.TempDir()}); err == nil {
		t.Error("a folder is opened as a key file")
	}
	if _, err := keyring.Open(keyring.Source{Path: filepath.Join(t.TempDir(), "missing", "key")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key file in no folder: got %v, want ErrNotExist", err)
	}
	if _, err := keyring.Open(keyring.Source{}); !errors.Is(err, keyring.ErrNoSource) {
		t.Errorf("no source: got %v, want ErrNoSource", err)
	}
}

func TestText(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	sealed := seal(t, open(t, keyring.Source{Path: path}), "secret", "here")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	unused := filepath.Join(t.TempDir(), "unused")
	for name, text := range map[string]string{
		"JSON":             string(data),
		"JSON and newline": string(data) + "\n",
		"base64":           base64.StdEncoding.EncodeToString(data),
	} {
		k := open(t, keyring.Source{Text: text, Path: unused})
		opens(t, k, sealed, "here", "secret")
		if err := k.Rotate(); !errors.Is(err, keyring.ErrReadOnly) {
			t.Errorf("%s: Rotate gave %v, want ErrReadOnly", name, err)
		}
	}
	if _, err := os.Stat(unused); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a key file was made although the keyset was given as text")
	}
	for _, text := range []string{"s3cret!", "{\"s3cret\"", base64.StdEncoding.EncodeToString([]byte("s3cret")), "  "} {
		_, err := keyring.Open(keyring.Source{Text: text})
		if !errors.Is(err, keyring.ErrCorruptKeyset) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("text %q: got %v, want ErrCorruptKeyset without the text", text, err)
		}
	}
}

func TestRotate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	before, err := keyring.Open(keyring.Source{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	k := open(t, keyring.Source{Path: path})
	var sealed [][]byte
	for range 3 {
		sealed = append(sealed, seal(t, k, "secret", "here"))
		if err := k.Rotate(); err != nil {
			t.Fatal(err)
		}
	}
	newest := seal(t, k, "secret", "here")
	if bytes.Equal(newest[:5], sealed[2][:5]) {
		t.Error("after a rotation the old key still seals")
	}
	reopened := open(t, keyring.Source{Path: path})
	for _, s := range append(sealed, newest) {
		opens(t, k, s, "here", "secret")
		opens(t, reopened, s, "here", "secret")
	}
	if _, err := before.Open(newest, []byte("here")); !errors.Is(err, keyring.ErrWrongKey) {
		t.Errorf("without the new key: got %v, want ErrWrongKey", err)
	}
	if err := before.Rotate(); !errors.Is(err, keyring.ErrChanged) {
		t.Errorf("rotating over another's keys: got %v, want ErrChanged", err)
	}
	opens(t, open(t, keyring.Source{Path: path}), newest, "here", "secret")
}

func TestFailedRotationChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	k := open(t, keyring.Source{Path: path})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	sealed := seal(t, k, "secret", "here")
	if err := k.Rotate(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("rotating a file that is gone: got %v, want ErrNotExist", err)
	}
	if got := seal(t, k, "secret", "here"); !bytes.Equal(got[:5], sealed[:5]) {
		t.Error("a key that is in no file seals")
	}
}

func TestKeysAreLimited(t *testing.T) {
	k := open(t, keyring.Source{Path: filepath.Join(t.TempDir(), "key")})
	for range keyring.MaxKeys - 1 {
		if err := k.Rotate(); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Rotate(); err == nil {
		t.Errorf("a keyring took more than %d keys", keyring.MaxKeys)
	}
}

// Several processes may start at once: all must end up with the key that is in the file.
func TestFirstStartsAtOnceShareOneKey(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "key")
	rings := make([]*keyring.Keyring, 8)
	var group sync.WaitGroup
	begin := make(chan struct{})
	for i := range rings {
		group.Go(func() {
			<-begin
			k, err := keyring.Open(keyring.Source{Path: path})
			if err != nil {
				t.Error(err)
				return
			}
			rings[i] = k
		})
	}
	close(begin)
	group.Wait()
	if t.Failed() {
		return
	}
	last := open(t, keyring.Source{Path: path})
	for _, k := range rings {
		opens(t, last, seal(t, k, "secret", ""), "", "secret")
	}
	if got := names(t, folder); len(got) != 1 {
		t.Errorf("the folder holds %v, want the key only", got)
	}
}

func TestConcurrentUse(t *testing.T) {
	k := open(t, keyring.Source{Path: filepath.Join(t.TempDir(), "key")})
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 50 {
				sealed, err := k.Seal([]byte("secret"), nil)
				if err != nil {
					t.Error(err)
					return
				}
				opens(t, k, sealed, "", "secret")
			}
		})
	}
	group.Go(func() {
		for range 5 {
			if err := k.Rotate(); err != nil {
				t.Error(err)
			}
		}
	})
	group.Wait()
}
