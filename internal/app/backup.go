package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store/sqlite"
)

// Backup copies the data folder of a server that does not run into a new or empty folder. progress, which may be nil, is
// called with pages done and in all. The encryption key is not copied: it belongs apart from the data. It returns
// store.ErrInUse while a server runs on the folder, and fs.ErrNotExist when there is no such folder.
func Backup(ctx context.Context, data, dir string, progress func(done, total int64)) (err error) {
	info, err := os.Stat(data)
	if err != nil {
		return fmt.Errorf("cannot open the data folder: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("cannot open the data folder: %s: %w", data, fs.ErrNotExist)
	}
	s, err := sqlite.Open(data, sqlite.Options{})
	if err != nil {
		return fmt.Errorf("cannot open the data folder %s: %w", data, err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return s.Backup(ctx, dir, progress)
}

// backupRequest is the body of POST /v1/backup.
type backupRequest struct {
	Dir string `json:"dir"`
}

// backup answers POST /v1/backup {"dir": "/absolute/folder"}, for admin keys: it copies the data into a folder of the
// server's machine while the server goes on. The answer is a JSON value a line: {"done","total"} while it works, then
// {"dir"} or {"error": problem}.
func (a *App) backup(w http.ResponseWriter, r *http.Request) {
	var q backupRequest
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 16<<10))
	d.DisallowUnknownFields()
	problem := func(status int, code, detail string) map[string]any {
		return map[string]any{"type": "/docs/problems#" + code, "title": http.StatusText(status), "status": status, "code": code, "detail": detail}
	}
	if err := d.Decode(&q); err != nil || !filepath.IsAbs(q.Dir) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		_ = json.NewEncoder(w).Encode(problem(http.StatusUnprocessableEntity, "invalid", `the body must be {"dir": "/an/absolute/path"}`))
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	control, lines := http.NewResponseController(w), json.NewEncoder(w)
	_ = control.SetWriteDeadline(time.Time{}) // a large copy takes longer than any other answer
	var last time.Time
	err := a.store.Backup(r.Context(), q.Dir, func(done, total int64) {
		if now := time.Now(); now.Sub(last) > 200*time.Millisecond {
			last = now
			_ = lines.Encode(map[string]int64{"done": done, "total": total})
			_ = control.Flush()
		}
	})
	if err == nil {
		_ = lines.Encode(map[string]string{"dir": q.Dir})
		return
	}
	status, code, detail := http.StatusInternalServerError, "internal", "the backup failed; the server's log says why"
	if e, ok := errors.AsType[*event.Error](err); ok && e.Kind == event.KindConflict {
		status, code, detail = http.StatusConflict, e.Code, e.Detail
	} else if errors.Is(err, fs.ErrPermission) {
		status, code, detail = http.StatusConflict, "folder_not_writable", "the server may not write into that folder"
	}
	a.log.WarnContext(r.Context(), "backup failed", slog.Any("error", err))
	_ = lines.Encode(map[string]any{"error": problem(status, code, detail)})
}
