package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/posthornhq/posthorn/client"
)

type endpointTestCmd struct {
	ID   string `arg:""`
	Type string `help:"The event's type; posthorn.test without it."`
	Data string `help:"The event's data, as JSON; @FILE reads a file, - standard input."`
}

// Run sends the test event.
func (x *endpointTestCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	t := client.TestRequest{Type: x.Type}
	if x.Data != "" {
		data, err := c.readArgument(x.Data)
		if err != nil {
			return err
		}
		if t.Data, err = asJSON(data); err != nil {
			return err
		}
	}
	result, err := cl.Test(c.ctx, tenant, x.ID, t)
	if err != nil {
		return err
	}
	failed := &statusError{err: errors.New("the test event was not delivered"), status: ExitFailure, quiet: true}
	if c.json {
		if err := c.writeJSON(result); err != nil || result.Verdict == "delivered" {
			return err
		}
		return failed
	}
	c.testResult(result)
	if result.Verdict != "delivered" {
		return failed
	}
	return nil
}

// testResult writes what an endpoint answered.
func (c *console) testResult(result *client.TestResult) {
	status := ""
	if result.Status > 0 {
		status = fmt.Sprint(result.Status)
	}
	c.fields([]field{
		{"verdict", verdictCell(result.Verdict)},
		{"status", text(status)},
		{"error", cell{result.Error, red}},
		{"cause", text(result.Cause)},
		{"took", text(fmt.Sprintf("%.1f ms", result.DurationMS))},
		{"answer", text(strings.TrimSpace(result.Body))},
	})
}

type (
	endpointPauseCmd  struct{ oneEndpoint }
	endpointResumeCmd struct{ oneEndpoint }
	endpointRetryCmd  struct{ oneEndpoint }
)

// oneEndpoint is a command about one endpoint.
type oneEndpoint struct {
	ID string `arg:""`
}

// Run pauses the endpoint.
func (x *endpointPauseCmd) Run(c *console) error {
	return x.change(c, "paused", (*client.Client).Pause)
}

// Run resumes the endpoint.
func (x *endpointResumeCmd) Run(c *console) error {
	return x.change(c, "resumed", (*client.Client).Resume)
}

// Run ends the endpoint's penalty.
func (x *endpointRetryCmd) Run(c *console) error {
	return x.change(c, "is being tried", (*client.Client).Retry)
}

func (x oneEndpoint) change(c *console, what string, do func(*client.Client, context.Context, string, string) (*client.Endpoint, error)) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	e, err := do(cl, c.ctx, tenant, x.ID)
	if err != nil {
		return err
	}
	if c.json {
		return c.writeJSON(e)
	}
	c.printf("%s %s\n", e.ID, what)
	return nil
}

type endpointSecretCmd struct {
	ID      string         `arg:""`
	Rotate  bool           `help:"Make a new secret; the old one goes on signing for the overlap."`
	Overlap *time.Duration `help:"How long the old secret goes on signing too; the server's default, 24h, without it." placeholder:"DURATION"`
	New     string         `help:"The new secret instead of one that the server makes." placeholder:"SECRET"`
}

// Run shows or rotates the secret.
func (x *endpointSecretCmd) Run(c *console) error {
	cl, tenant, err := c.tenantClient()
	if err != nil {
		return err
	}
	if !x.Rotate && (x.Overlap != nil || x.New != "") {
		return usagef("--overlap and --new need --rotate")
	}
	var s *client.Secret
	if x.Rotate {
		s, err = cl.RotateSecret(c.ctx, tenant, x.ID, client.Rotation{Secret: x.New, Overlap: (*client.Duration)(x.Overlap)})
	} else {
		s, err = cl.Secret(c.ctx, tenant, x.ID)
	}
	if err != nil {
		return err
	}
	if c.json {
		return c.writeJSON(s)
	}
	list := []field{{"secret", cell{s.Secret, bold}}, {"public key", text(s.PublicKey)}}
	for _, p := range s.Previous {
		list = append(list, field{"until " + stamp(p.Expires), text(p.Secret)})
	}
	c.fields(list)
	return nil
}
