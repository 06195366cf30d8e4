package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"

	"github.com/posthornhq/posthorn/client"
	"github.com/posthornhq/posthorn/internal/app"
)

// backupCmd copies the data, of a running server or of a stopped one.
type backupCmd struct {
	Dir  string `arg:"" help:"The folder to copy into: new or empty. A running server makes it on its own machine."`
	Data string `help:"The data folder of a server that does not run; without it the running server is asked." placeholder:"DIR" type:"path"`
}

// Run makes the copy.
func (x *backupCmd) Run(c *console) error {
	dir, err := filepath.Abs(x.Dir)
	if err != nil {
		return fmt.Errorf("find the folder: %w", err)
	}
	p := c.progress()
	defer p.end()
	show := func(done, total int64) { p.update("copying", done, total) }
	if x.Data != "" {
		err = explainStart(app.Backup(c.ctx, x.Data, dir, show))
	} else {
		err = c.askBackup(dir, show)
	}
	p.end()
	if err != nil {
		return err
	}
	return c.done("written", dir)
}

// askBackup asks the running server, which answers with a line for each step.
func (c *console) askBackup(dir string, show func(done, total int64)) error {
	if _, err := c.client(); err != nil {
		return err
	}
	body, err := json.Marshal(client.BackupRequest{Dir: dir})
	if err != nil {
		return err
	}
	target, err := url.JoinPath(c.globals.Server, "/v1/backup")
	if err != nil {
		return usagef("--server: %w", err)
	}
	req, err := http.NewRequestWithContext(c.ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.globals.Key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment}}).Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return problemOf(resp)
	}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		var line client.BackupLine
		switch err := json.Unmarshal(lines.Bytes(), &line); {
		case err != nil:
			return fmt.Errorf("read the server's answer: %w", err)
		case line.Error != nil:
			return line.Error
		case line.Dir != "":
			return nil
		}
		show(line.Done, line.Total)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return errors.New("the server's answer ended before the backup was complete: it is not usable")
}

// problemOf reads an error answer.
func problemOf(resp *http.Response) error {
	p := &client.Problem{}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil || json.Unmarshal(text, p) != nil || p.Title == "" {
		p.Title = http.StatusText(resp.StatusCode)
	}
	p.Status = resp.StatusCode
	return p
}
