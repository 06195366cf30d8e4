package keyring

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/tink-crypto/tink-go/v2/keyset"
)

// maxFile bounds a key file, in bytes; [MaxKeys] keys need about 30 KB.
const maxFile = 256 << 10

// openFile reads the key file, or makes it.
func openFile(path string) (*keyset.Handle, error) {
	handle, err := readFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return handle, err
	}
	handle, err = withNewKey(keyset.NewManager())
	if err != nil {
		return nil, err
	}
	// Linking a finished file into place fails if one is there by now: another process was first, and its key counts.
	err = putFile(path, handle, os.Link)
	if errors.Is(err, fs.ErrExist) {
		return readFile(path)
	}
	if err != nil {
		return nil, err
	}
	return handle, nil
}

// readFile reads the key file after checking that only its owner can.
func readFile(path string) (*keyset.Handle, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("keyring: open the key file: %w", err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("keyring: open the key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a file", ErrCorruptKeyset, path)
	}
	// Windows has no such bits; there the folder's access list decides.
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o077 != 0 {
		return nil, fmt.Errorf("%w: %s has mode %04o; make it private with chmod 600, and if it may have been read, rotate the key", ErrPermissions, path, mode)
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("keyring: read the key file: %w", err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%w: %s is larger than any keyset", ErrCorruptKeyset, path)
	}
	handle, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%w (%s)", err, path)
	}
	return handle, nil
}

func replaceFile(path string, handle *keyset.Handle) error {
	return putFile(path, handle, os.Rename)
}

// putFile writes a keyset to a new private file beside path and then puts it in place with link or rename, so that
// path holds a whole keyset or none at any moment, also after a loss of power.
func putFile(path string, handle *keyset.Handle, place func(from, to string) error) (err error) {
	data, err := format(handle)
	if err != nil {
		return err
	}
	folder := filepath.Dir(path)
	temp, err := os.CreateTemp(folder, ".keyring-*") // mode 0600
	if err != nil {
		return fmt.Errorf("keyring: write the key file: %w", err)
	}
	defer func() {
		// After a rename there is nothing to remove; after a link or a failure there is.
		if removeErr := os.Remove(temp.Name()); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) && err == nil {
			err = fmt.Errorf("keyring: remove a temporary key file: %w", removeErr)
		}
	}()
	_, err = temp.Write(data)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return fmt.Errorf("keyring: write the key file: %w", err)
	}
	if err := place(temp.Name(), path); err != nil {
		return fmt.Errorf("keyring: put the key file in place: %w", err)
	}
	return syncFolder(folder)
}

// syncFolder makes the name of a new file durable.
func syncFolder(folder string) error {
	dir, err := os.Open(folder)
	if err != nil {
		return fmt.Errorf("keyring: sync the key file's folder: %w", err)
	}
	err = dir.Sync()
	if runtime.GOOS == "windows" {
		err = nil // folders cannot be synced there
	}
	if err = errors.Join(err, dir.Close()); err != nil {
		return fmt.Errorf("keyring: sync the key file's folder: %w", err)
	}
	return nil
}
