package caddymodule

import (
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/dustin/go-humanize"
)

func init() {
	httpcaddyfile.RegisterGlobalOption(appID, parseGlobalOption)
	httpcaddyfile.RegisterHandlerDirective(appID, parseDirective)
	httpcaddyfile.RegisterDirectiveOrder(appID, httpcaddyfile.Before, "file_server")
}

// parseGlobalOption makes the app of the global option.
// See [App.UnmarshalCaddyfile] for the syntax.
func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		return nil, d.Errf("the global option %s is there twice", appID)
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: appID, Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile fills the app from its global option:
//
//	mini_vercel {
//	    bucket                   <directory> | { … }
//	    base_domain              <domain>
//	    state_dir                <directory>
//	    state_size               <size>
//	    cache_memory             <size>
//	    cache_disk               <size>|off
//	    cache_manifests          <size>
//	    cache_pages              <size>
//	    cache_routes             <count>
//	    metrics_projects         <count>
//	    poll_interval            <duration>
//	    read_timeout             <duration>
//	    unknown_hosts_per_second <count>
//	    hsts                     <duration>
//	    hand_over                <duration>
//	}
//
// Sizes are in bytes or with a unit, such as 256MiB. bucket and base_domain are
// required; see [Bucket.UnmarshalCaddyfile] for the former.
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the option's name
	return options(d, func(name string) error {
		if name == "bucket" {
			return a.Bucket.UnmarshalCaddyfile(d)
		}
		return value(d, func(text string) error { return a.set(d, name, text) })
	})
}

// options reads a block of options, each of them there once, and nothing before
// it on the line.
func options(d *caddyfile.Dispenser, read func(name string) error) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	seen := map[string]bool{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		if seen[name] {
			return d.Errf("%s is there twice", name)
		}
		seen[name] = true
		if err := read(name); err != nil {
			return err
		}
	}
	return nil
}

// value reads the one value of an option.
func value(d *caddyfile.Dispenser, set func(text string) error) error {
	var text string
	if !d.Args(&text) || d.NextArg() {
		return d.ArgErr()
	}
	return set(text)
}

func (a *App) set(d *caddyfile.Dispenser, name, value string) error {
	switch name {
	case "base_domain":
		a.BaseDomain = value
	case "state_dir":
		a.StateDir = value
	case "state_size":
		return setSize(d, name, value, &a.StateSize)
	case "cache_memory":
		return setSize(d, name, value, &a.CacheMemory)
	case "cache_disk":
		a.CacheDisk = new(int64)
		if size, err := humanize.ParseBytes(value); value == "off" || err == nil && size == 0 {
			return nil
		}
		return setSize(d, name, value, a.CacheDisk)
	case "cache_manifests":
		return setSize(d, name, value, &a.CacheManifests)
	case "cache_pages":
		return setSize(d, name, value, &a.CachePages)
	case "cache_routes":
		return setCount(d, name, value, &a.CacheRoutes)
	case "metrics_projects":
		if value == "0" {
			return nil
		}
		return setCount(d, name, value, &a.MetricsProjects)
	case "poll_interval":
		return setDuration(d, name, value, &a.PollInterval)
	case "read_timeout":
		return setDuration(d, name, value, &a.ReadTimeout)
	case "unknown_hosts_per_second":
		return setCount(d, name, value, &a.UnknownHostsPerSecond)
	case "hand_over":
		return setDuration(d, name, value, &a.HandOver)
	case "hsts":
		if d, err := caddy.ParseDuration(value); err == nil && d == 0 {
			return nil
		}
		return setDuration(d, name, value, &a.HSTS)
	default:
		return d.Errf("unknown option %q of %s", name, appID)
	}
	return nil
}

func setSize(d *caddyfile.Dispenser, name, value string, into *int64) error {
	size, err := humanize.ParseBytes(value)
	if err != nil || size == 0 || size > 1<<50 || strings.HasPrefix(value, "-") {
		return d.Errf("%s %s: use a size such as 256MiB", name, value)
	}
	*into = int64(size)
	return nil
}

func setCount(d *caddyfile.Dispenser, name, value string, into *int) error {
	count, err := strconv.Atoi(value)
	if err != nil || count <= 0 {
		return d.Errf("%s %s: use a number above 0", name, value)
	}
	*into = count
	return nil
}

func setDuration(d *caddyfile.Dispenser, name, value string, into *caddy.Duration) error {
	duration, err := caddy.ParseDuration(value)
	if err != nil || duration <= 0 {
		return d.Errf("%s %s: use a duration such as 100ms", name, value)
	}
	*into = caddy.Duration(duration)
	return nil
}

// parseDirective makes the handler of the directive.
// See [Handler.UnmarshalCaddyfile] for the syntax.
func parseDirective(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Handler)
	return handler, handler.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile fills the handler from its directive:
//
//	mini_vercel [<matcher>] {
//	    redirect_port <port>
//	}
//
// What is the same for all handlers stands in the global option of that name.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	return options(d, func(name string) error {
		return value(d, func(text string) error {
			if name != "redirect_port" {
				return d.Errf("%s has no option %q here; see the global option of that name for the others", appID, name)
			}
			return setCount(d, name, text, &h.RedirectPort)
		})
	})
}

// Interface guards.
var (
	_ caddyfile.Unmarshaler = (*App)(nil)
	_ caddyfile.Unmarshaler = (*Handler)(nil)
)
