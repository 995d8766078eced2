package edge

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// Config says what an edge serves and how much it may hold. Zero values stand
// for the defaults.
type Config struct {
	Store      blob.Store
	BaseDomain string // hosts below it get a page that says no site is here
	StateDir   string // where known records, manifests and contents are kept; none: nowhere
	Sizes      Sizes
	Pace       Pace
	Log        *slog.Logger
	Now        func() time.Time
}

// Sizes bound what an edge keeps. They may change while it runs.
type Sizes struct {
	ChunkBytes    int64 // contents of files. Default 256 MiB
	DiskBytes     int64 // contents of files in StateDir. Default 1 GiB; below 0: none are kept there
	ManifestBytes int64 // manifests. Default 128 MiB; the newest is kept whatever its size
	PageBytes     int64 // prepared heads. Default 32 MiB
	Routes        int   // hosts. Default 100,000
	StateBytes    int64 // files in StateDir. Default 1 GiB
	ProjectSeries int   // projects that have metrics of their own. Default 0: requests are not counted by project
}

// Pace says how often and how patiently an edge asks the bucket.
type Pace struct {
	Poll                time.Duration // between looks at the change log. Default 1 s
	Backstop            time.Duration // between revalidations of everything. Default 10 minutes
	ReadTimeout         time.Duration // of one read. Default 10 s
	UnknownPerSecond    int           // look-ups of hosts that are not known. Default 200
	RevalidatePerSecond int           // reads while everything is revalidated. Default 500
}

func (c *Config) complete() error {
	if c.Store == nil {
		return errors.New("an edge needs a bucket")
	}
	base, err := site.NormalHost(c.BaseDomain)
	if err != nil || base != c.BaseDomain {
		return fmt.Errorf("base domain %q: use a domain name in lower case, without scheme and port", c.BaseDomain)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Sizes.complete()
	c.Pace.complete()
	return nil
}

func (s *Sizes) complete() {
	orDefault(&s.ChunkBytes, 256<<20)
	if s.DiskBytes == 0 {
		s.DiskBytes = 1 << 30
	}
	orDefault(&s.ManifestBytes, 128<<20)
	orDefault(&s.PageBytes, 32<<20)
	orDefault(&s.Routes, 100_000)
	orDefault(&s.StateBytes, 1<<30)
}

func (p *Pace) complete() {
	orDefault(&p.Poll, time.Second)
	orDefault(&p.Backstop, 10*time.Minute)
	orDefault(&p.ReadTimeout, 10*time.Second)
	orDefault(&p.UnknownPerSecond, 200)
	orDefault(&p.RevalidatePerSecond, 500)
}

func orDefault[T ~int | ~int64](v *T, standard T) {
	if *v <= 0 {
		*v = standard
	}
}
