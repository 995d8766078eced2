package site

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// ConfigName is the file in the root of a deployed folder or repository that
// sets how that deployment is served. It wins over the project's settings and
// is not served itself.
const ConfigName = "mini-vercel.json"

// MaxConfigSize is the most that a mini-vercel.json may have, in bytes.
const MaxConfigSize = 64 << 10

// MaxImmutableGlobs is how many globs Config.Immutable may have.
const MaxImmutableGlobs = 100

// Config is what a mini-vercel.json says. What it leaves out is zero: the
// project's setting counts there.
type Config struct {
	HTMLHandling HTMLHandling `json:"htmlHandling,omitempty"`
	NotFound     NotFound     `json:"notFound,omitempty"`
	// StrictRules says that a line of _redirects or _headers that is wrong fails
	// the deployment.
	StrictRules *bool `json:"strictRules,omitempty"`
	// EarlyHints says that what a page preloads is named before it.
	EarlyHints *bool `json:"earlyHints,omitempty"`
	// Immutable are globs of paths whose bytes never change, relative to the
	// output folder and without a slash in front: * and ? within a segment,
	// [a-z], {a,b}, and ** for any number of segments.
	Immutable []string `json:"immutable,omitempty"`
}

// HTMLHandlings and NotFounds list the modes that a setting may name.
var (
	HTMLHandlings = []HTMLHandling{HTMLAuto, HTMLForce, HTMLDrop, HTMLNone}
	NotFounds     = []NotFound{NotFoundAuto, NotFoundPage, NotFoundSPA, NotFoundNone}
)

// ParseConfig reads a mini-vercel.json. Its errors name the key that is wrong;
// a key that is not known is an error too, so that a misspelt one is noticed.
func ParseConfig(text []byte) (Config, error) {
	var c Config
	if err := c.parse(text); err != nil {
		return Config{}, fmt.Errorf("%s: %w", ConfigName, err)
	}
	return c, nil
}

func (c *Config) parse(text []byte) error {
	if len(text) > MaxConfigSize {
		return fmt.Errorf("has %d bytes, the most is %d", len(text), MaxConfigSize)
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	// Decoding into the struct at once would take keys in any case of letters.
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(text, &keys); err != nil {
		return jsonError(text, err)
	}
	if keys == nil {
		return errors.New("must be a JSON object, such as {\"notFound\": \"404-page\"}")
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		var err error
		switch key {
		case "htmlHandling":
			err = parseMode(keys[key], &c.HTMLHandling, HTMLHandlings)
		case "notFound":
			err = parseMode(keys[key], &c.NotFound, NotFounds)
		case "strictRules":
			err = parseSwitch(keys[key], &c.StrictRules)
		case "earlyHints":
			err = parseSwitch(keys[key], &c.EarlyHints)
		case "immutable":
			err = c.parseImmutable(keys[key])
		default:
			return fmt.Errorf("unknown key %q; known are htmlHandling, notFound, strictRules, earlyHints and immutable", key)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}

func (c *Config) parseImmutable(value json.RawMessage) error {
	var globs []string
	if json.Unmarshal(value, &globs) != nil || globs == nil {
		return errors.New("must be a list of globs, such as [\"assets/**\"]")
	}
	if len(globs) > MaxImmutableGlobs {
		return fmt.Errorf("has %d globs, the most is %d", len(globs), MaxImmutableGlobs)
	}
	for i, glob := range globs {
		glob = strings.TrimPrefix(glob, "/")
		if _, err := path.Match(glob, ""); err != nil || glob == "" || strings.Count(glob, "{") != strings.Count(glob, "}") {
			return fmt.Errorf("%q is not a glob", globs[i])
		}
		globs[i] = glob
	}
	c.Immutable = globs
	return nil
}

func parseSwitch(value json.RawMessage, on **bool) error {
	if json.Unmarshal(value, on) != nil || *on == nil {
		return errors.New("must be true or false")
	}
	return nil
}

func parseMode[T ~string](value json.RawMessage, mode *T, allowed []T) error {
	if json.Unmarshal(value, mode) != nil || !slices.Contains(allowed, *mode) {
		names := make([]string, len(allowed))
		for i, a := range allowed {
			names[i] = string(a)
		}
		return fmt.Errorf("%s is not one of %s", value, strings.Join(names, ", "))
	}
	return nil
}

// jsonError says at which line a text stops being JSON.
func jsonError(text []byte, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		line := 1 + bytes.Count(text[:min(int(syntax.Offset), len(text))], []byte("\n"))
		return fmt.Errorf("line %d: %w", line, err)
	}
	return errors.New("must be a JSON object, such as {\"notFound\": \"404-page\"}")
}
