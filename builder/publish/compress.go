package publish

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

const (
	leastCompressed = 1 << 10 // smaller files fit in a packet or two anyway
	mostImproved    = 4 << 20 // larger files take the best brotli level too long
)

// mostOf is how large a variant of that many bytes may be: it must save five
// per cent.
func mostOf(size int64) int64 { return size * 95 / 100 }

// content is one distinct content of a folder's files.
type content struct {
	site.BlobEntry
	file     *file // one of those that have it
	most     bool  // a page, a script or a style
	variants [len(site.Variants)]*stored
}

// compressor compresses contents in parallel.
type compressor struct {
	root     *os.Root
	spool    *spool
	report   *meter
	deadline time.Time
}

// run makes all variants of contents. First each gets those that are quick to
// make; then, until the deadline, the best brotli level improves pages, scripts
// and styles, small ones first, of which there are most to a second.
func (c *compressor) run(ctx context.Context, contents []*content) error {
	var bytes int64
	for _, x := range contents {
		bytes += x.Size
	}
	c.report.begin(StepCompress, len(contents), bytes)
	if len(contents) == 0 {
		c.report.end()
		return nil // encoders are large
	}
	sets := make([]*encoders, workers())
	for i := range sets {
		set, err := newEncoders(c.spool)
		if err != nil {
			return err
		}
		defer set.close()
		sets[i] = set
	}
	if err := c.each(ctx, sets, fastTasks(contents), c.fast); err != nil {
		return err
	}
	c.report.end()
	best := bestTasks(contents)
	bytes = 0
	for _, t := range best {
		bytes += t.content.Size
	}
	c.report.begin(StepImprove, len(best), bytes)
	if err := c.each(ctx, sets, best, c.improver()); err != nil {
		return err
	}
	c.report.end()
	return nil
}

// task is the work on one content: all encodings, or one of a large content.
type task struct {
	content   *content
	encodings []site.Encoding
}

// fastTasks lists the work for quick variants, large contents first and their
// encodings apart, so that no goroutine is left alone with a large one.
func fastTasks(contents []*content) []task {
	var tasks []task
	for _, x := range contents {
		if x.Size <= site.ChunkSize {
			tasks = append(tasks, task{x, site.Variants[:]})
			continue
		}
		for i := range site.Variants {
			tasks = append(tasks, task{x, site.Variants[i : i+1]})
		}
	}
	slices.SortStableFunc(tasks, func(a, b task) int { return cmp.Compare(b.content.Size, a.content.Size) })
	return tasks
}

func bestTasks(contents []*content) []task {
	var tasks []task
	for _, x := range contents {
		if x.most && x.Size <= mostImproved {
			tasks = append(tasks, task{x, site.Variants[site.Brotli : site.Brotli+1]})
		}
	}
	slices.SortStableFunc(tasks, func(a, b task) int { return cmp.Compare(a.content.Size, b.content.Size) })
	return tasks
}

func (c *compressor) each(ctx context.Context, sets []*encoders, tasks []task, do func(*encoders, task) error) error {
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for _, set := range sets {
		g.Go(func() error {
			hurried := false
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(tasks) {
					return nil
				}
				if !hurried && time.Now().After(c.deadline) {
					if err := set.hurry(); err != nil {
						return err
					}
					hurried = true
				}
				if err := do(set, tasks[i]); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
	}
	return g.Wait()
}

func (c *compressor) fast(set *encoders, t task) error {
	x := t.content
	if x.Size > site.ChunkSize {
		enc := t.encodings[0]
		var err error
		x.variants[enc], err = c.stream(set, x, enc)
		if err == nil && enc == site.Gzip {
			c.report.add(1, x.Size)
		}
		return err
	}
	whole, err := c.read(x)
	if err != nil {
		return err
	}
	for _, enc := range t.encodings {
		if x.variants[enc], err = set.encode(enc, bytes.NewReader(whole), whole, x.Size, mostOf(x.Size)); err != nil {
			return fmt.Errorf("compress %q: %w", x.file.name, err)
		}
	}
	c.report.add(1, x.Size)
	return nil
}

// stream compresses a large content as it is read.
func (c *compressor) stream(set *encoders, x *content, enc site.Encoding) (*stored, error) {
	in, err := openUnchanged(c.root, x.file)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	v, err := set.encode(enc, newSameReader(in, x.file, x.SHA256), nil, x.Size, mostOf(x.Size))
	if err != nil {
		return nil, fmt.Errorf("compress %q: %w", x.file.name, cause(err))
	}
	return v, nil
}

// read returns the bytes of a small content, which must be those that were
// hashed.
func (c *compressor) read(x *content) ([]byte, error) {
	in, err := openUnchanged(c.root, x.file)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	whole := make([]byte, x.Size)
	if _, err := io.ReadFull(in, whole); err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, fmt.Errorf("file %q: %w", x.file.name, cause(err))
	}
	if site.HashOf(whole) != x.SHA256 {
		return nil, &ChangedError{x.file.name}
	}
	return whole, nil
}

// startRate is how many bytes a second the best brotli level is taken to
// compress until it has been measured.
const startRate = 400 << 10

// improver compresses with the best brotli level what can be done by the
// deadline, judged by how it went so far.
func (c *compressor) improver() func(*encoders, task) error {
	var spent, done atomic.Int64 // nanoseconds and bytes
	spent.Store(int64(time.Second))
	done.Store(startRate)
	return func(set *encoders, t task) error {
		x := t.content
		defer c.report.add(1, x.Size)
		start := time.Now()
		expected := time.Duration(float64(x.Size) * float64(spent.Load()) / float64(done.Load()))
		if start.Add(expected).After(c.deadline) {
			return nil
		}
		whole, err := c.read(x)
		if err != nil {
			return err
		}
		most := mostOf(x.Size)
		if v := x.variants[site.Brotli]; v != nil {
			most = v.Size - 1
		}
		better, err := set.encodeBest(bytes.NewReader(whole), most, c.deadline)
		if err != nil {
			return fmt.Errorf("compress %q: %w", x.file.name, err)
		}
		if better != nil {
			x.variants[site.Brotli] = better
		}
		spent.Add(int64(time.Since(start)))
		done.Add(x.Size)
		return nil
	}
}
