// Package keyring seals small secrets (signing secrets, credentials) so that they can be stored: AES-256-GCM by
// keys from a file or the environment. Plaintext goes in with the name of the place that it belongs to, a sealed
// value comes out; it opens only for the same place.
//
// The keys are kept as a Tink keyset in clear text. That is on purpose: the file or the variable is itself the
// secret that everything else is sealed with, so there is nothing left to encrypt it with. Keep it apart from
// backups of the data, and keep it: without it nothing that was sealed can be read again.
package keyring

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/core/cryptofmt"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Errors. Their texts say what to do, may name the key file, and hold no part of a key or a secret.
var (
	// ErrNoSource refuses a [Source] that names nothing.
	ErrNoSource = errors.New("keyring: no key file and no keyset is configured")
	// ErrPermissions refuses a key file that other users of the machine can read.
	ErrPermissions = errors.New("keyring: the key file is open to other users")
	// ErrCorruptKeyset refuses keys that cannot be read.
	ErrCorruptKeyset = errors.New("keyring: the keyset cannot be read")
	// ErrWrongKey says that a value was sealed by a key that is not here.
	ErrWrongKey = errors.New("keyring: sealed by a key that this server does not have; " +
		"start it with the key file or keyset that it was set up with")
	// ErrCorrupt says that a sealed value was altered, cut, or moved here from another place.
	ErrCorrupt = errors.New("keyring: the sealed value is damaged or belongs elsewhere")
	// ErrReadOnly says that keys given as text cannot be rotated in place.
	ErrReadOnly = errors.New("keyring: the keyset is given as text, which cannot be rotated in place; use a key file")
	// ErrChanged says that the key file is no longer the one that was opened.
	ErrChanged = errors.New("keyring: the key file was changed by another process; restart to use it")
)

// MaxKeys is the most keys of a keyring, so the most rotations that sealed values can be kept through.
const MaxKeys = 100

// Source says where the keys are. Text wins if both are set.
type Source struct {
	// Path is the key file. If there is none, it is made with a new key, readable by its owner only.
	Path string
	// Text is the keyset itself: what a key file holds, as it is (JSON) or in base64.
	Text string
}

// Keyring seals and opens values. It is safe for concurrent use.
type Keyring struct {
	path string // "" if the keys were given as text

	mu     sync.RWMutex
	handle *keyset.Handle
	aead   tink.AEAD
}

// Open reads the keys, and makes the key file if there is none. Of several processes that start at once with the
// same path, all get the same key. The error wraps [ErrNoSource], [ErrPermissions] or [ErrCorruptKeyset], or is the
// file system's.
func Open(source Source) (*Keyring, error) {
	switch {
	case source.Text != "":
		handle, err := parseText(source.Text)
		if err != nil {
			return nil, err
		}
		return newKeyring("", handle)
	case source.Path != "":
		handle, err := openFile(source.Path)
		if err != nil {
			return nil, err
		}
		return newKeyring(source.Path, handle)
	default:
		return nil, ErrNoSource
	}
}

func newKeyring(path string, handle *keyset.Handle) (*Keyring, error) {
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("%w: it holds other keys than AEAD keys", ErrCorruptKeyset)
	}
	return &Keyring{path: path, handle: handle, aead: primitive}, nil
}

// Seal encrypts plaintext with the newest key and binds it to associatedData, which is not secret and not kept: name
// the place of the value there (tenant, row, column), so that a sealed value cannot be moved to another. The result
// is 33 bytes longer than the plaintext and different each time.
func (k *Keyring) Seal(plaintext, associatedData []byte) ([]byte, error) {
	sealed, err := k.current().Encrypt(plaintext, associatedData)
	if err != nil {
		return nil, fmt.Errorf("keyring: seal: %w", err)
	}
	return sealed, nil
}

// Open decrypts what [Keyring.Seal] returned for the same associatedData, with whichever key sealed it. It returns
// [ErrWrongKey] or [ErrCorrupt].
func (k *Keyring) Open(sealed, associatedData []byte) ([]byte, error) {
	k.mu.RLock()
	primitive, handle := k.aead, k.handle
	k.mu.RUnlock()
	plaintext, err := primitive.Decrypt(sealed, associatedData)
	if err == nil {
		return plaintext, nil
	}
	if id, ok := keyID(sealed); ok && !slices.Contains(keyIDs(handle), id) {
		return nil, ErrWrongKey
	}
	// The cause says no more than "decryption failed".
	return nil, ErrCorrupt
}

func (k *Keyring) current() tink.AEAD {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.aead
}

// Rotate adds a new key and seals with it from now on; older keys still open what they sealed. The key file is
// replaced before the new key is used. Only one process at a time may rotate. It returns [ErrReadOnly], [ErrChanged]
// or a file system's error, and then nothing has changed.
func (k *Keyring) Rotate() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.path == "" {
		return ErrReadOnly
	}
	// Writing over keys that another process has added would lose what they sealed.
	onDisk, err := readFile(k.path)
	if err != nil {
		return err
	}
	if !slices.Equal(keyIDs(onDisk), keyIDs(k.handle)) {
		return ErrChanged
	}
	if k.handle.Len() >= MaxKeys {
		return fmt.Errorf("keyring: there are %d keys already, the most there can be", MaxKeys)
	}
	handle, err := withNewKey(keyset.NewManagerFromHandle(k.handle))
	if err != nil {
		return err
	}
	next, err := newKeyring(k.path, handle)
	if err != nil {
		return err
	}
	if err := replaceFile(k.path, handle); err != nil {
		return err
	}
	k.handle, k.aead = next.handle, next.aead
	return nil
}

// withNewKey adds a key to a keyset and makes it the one that seals.
func withNewKey(manager *keyset.Manager) (*keyset.Handle, error) {
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("keyring: make a key: %w", err)
	}
	if err := manager.SetPrimary(id); err != nil {
		return nil, fmt.Errorf("keyring: make a key: %w", err)
	}
	handle, err := manager.Handle()
	if err != nil {
		return nil, fmt.Errorf("keyring: make a key: %w", err)
	}
	return handle, nil
}

// keyIDs returns the ids of the keys that can open, in the order of the keyset.
func keyIDs(handle *keyset.Handle) []uint32 {
	var ids []uint32
	for _, info := range handle.KeysetInfo().GetKeyInfo() {
		if info.GetStatus() == tinkpb.KeyStatusType_ENABLED {
			ids = append(ids, info.GetKeyId())
		}
	}
	return ids
}

// keyID returns the id of the key that sealed a value: a start byte, then the id (Tink's output prefix).
func keyID(sealed []byte) (uint32, bool) {
	if len(sealed) < cryptofmt.TinkPrefixSize || sealed[0] != cryptofmt.TinkStartByte {
		return 0, false
	}
	return binary.BigEndian.Uint32(sealed[1:]), true
}

func parseText(text string) (*keyset.Handle, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "{") {
		return parse([]byte(text))
	}
	decoded, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%w: it is neither JSON nor base64", ErrCorruptKeyset)
	}
	return parse(decoded)
}

// parse reads a keyset in Tink's JSON. The cause of a failure is left out, because a JSON error may quote what it
// stumbled over.
func parse(data []byte) (*keyset.Handle, error) {
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(data)))
	if err != nil {
		return nil, fmt.Errorf("%w: it is empty, cut short or not a Tink keyset in JSON; restore it from a copy", ErrCorruptKeyset)
	}
	return handle, nil
}

func format(handle *keyset.Handle) ([]byte, error) {
	var out bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&out)); err != nil {
		return nil, fmt.Errorf("keyring: write a keyset: %w", err)
	}
	return out.Bytes(), nil
}
