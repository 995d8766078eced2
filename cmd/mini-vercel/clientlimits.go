package main

import (
	"strconv"

	"github.com/mini-vercel/mini-vercel/builder/publish"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// clientLimits are the limits that `deploy` checks before it sends anything.
// Where the control plane's are set otherwise, the same variables say so here;
// its own word is the last one.
func clientLimits(getenv func(string) string) (publish.Limits, error) {
	limits := publish.LimitsOf(site.DefaultLimits())
	for _, setting := range []struct {
		name string
		use  func(int64)
	}{
		{"MAX_FILES", func(n int64) { limits.Files = int(n) }},
		{"MAX_FILE_MIB", func(n int64) { limits.FileBytes = n << 20 }},
		{"MAX_DEPLOYMENT_MIB", func(n int64) { limits.TotalBytes = n << 20 }},
	} {
		text := getenv(setting.name)
		if text == "" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil || n < 1 {
			return limits, usagef("%s=%s: use a whole number from 1", setting.name, text)
		}
		setting.use(n)
	}
	return limits, nil
}
