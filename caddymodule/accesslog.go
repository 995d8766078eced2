package caddymodule

import (
	"context"
	"fmt"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/mini-vercel/mini-vercel/internal/edge"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// AccessLog says where requests are logged, one line of JSON each: Caddy's own
// access log, with the fields project, deployment and cache.
type AccessLog struct {
	Output string // off, stdout, stderr or file. Default: off
	File   string // for file; Caddy rolls it over at 100 MiB and keeps ten for 90 days
}

// The name of the servers' access logger, and all that is logged through it.
const (
	accessLogger = "edge"
	accessLogs   = "http.log.access"
)

// on turns access logging on for the servers of sites.
func (l AccessLog) on() bool { return l.Output != "" && l.Output != "off" }

// configure returns Caddy's log of what is logged for requests.
func (l AccessLog) configure() (map[string]any, error) {
	writer := map[string]any{"output": l.Output}
	switch l.Output {
	case "stdout", "stderr":
	case "file":
		if l.File == "" {
			return nil, fmt.Errorf("the access log needs the name of its file")
		}
		writer["filename"] = l.File
	default:
		return nil, fmt.Errorf("access log %q: use off, stdout, stderr or file", l.Output)
	}
	return map[string]any{"include": []string{accessLogs}, "writer": writer, "encoder": redacted("json"), "level": "INFO"}, nil
}

// redacted is an encoder that keeps the tokens of share links out of a log: they
// stand in addresses, and in addresses within these, and who has one is let in.
// Cookies Caddy keeps out itself. It copies requests before handlers run, so that
// only the encoder can do this.
func redacted(format string) map[string]any {
	token := map[string]any{"filter": "regexp", "regexp": site.ShareParameter + "(=|%(25)*3[Dd])[^&#]*", "value": site.ShareParameter + "=REDACTED"}
	return map[string]any{"format": "filter", "wrap": map[string]any{"format": format}, "fields": map[string]any{
		"request>uri":             token,
		"request>headers>Referer": token,
		"resp_headers>Location":   token, // of a redirect to HTTPS, or to another host
	}}
}

// logFields adds to a request's line in the access log what the edge knows of it.
func logFields(ctx context.Context, a *edge.Answer) {
	fields, ok := ctx.Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields)
	if !ok {
		return
	}
	project, deployment := a.Site()
	fields.Add(zap.String("project", project))
	fields.Add(zap.String("deployment", deployment))
	fields.Add(zap.String("cache", a.Result.String()))
}
