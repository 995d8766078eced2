package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// Answer is what is to be sent: a status, a head, and a body that is either
// text or parts of one variant of a page. It is a value; its slices are shared
// and must not be written to.
type Answer struct {
	Status  int
	Result  Result
	Head    []Field // prepared
	Extra   []Field // of this answer alone
	Noindex bool    // a preview's, or a protected host's: search engines stay away
	Private bool    // a protected host's: only the browser that asked may keep it

	text  []byte
	edge  *Edge
	view  *hostView     // what the host shows; nil: it shows nothing
	began time.Duration // when the request came, since the process did
	sent  int64         // bytes of the body
	page  *page
	from  *variant
	first []byte // the chunk that the first part begins in, verified; nil: it is in a file
	parts []part
	whole bool // the body is all of the variant

	ownTiming bool // a rule of the site's sets or removes Server-Timing
}

// part is a piece of the body: a text, then bytes of the variant.
type part struct {
	text  string
	bytes byteRange
}

// ErrCut: the head was sent, but a later chunk could not be had. The connection
// must be closed, so that the client notices.
var ErrCut = errors.New("the rest of the body could not be had")

// Write sends the answer. It returns ErrCut, or why the client can't be
// reached.
func (a *Answer) Write(ctx context.Context, w http.ResponseWriter) error {
	err := a.write(ctx, w)
	a.edge.metrics.written(a)
	return err
}

// Site returns the ids of the project and of the deployment that answered; none
// where no host did, or nothing is deployed to it.
func (a *Answer) Site() (project, deployment string) {
	if a.view == nil {
		return "", ""
	}
	return a.view.route.Project, a.view.route.Deployment
}

func (a *Answer) write(ctx context.Context, w http.ResponseWriter) error {
	h := w.Header()
	for i := range a.Head {
		h[a.Head[i].Name] = a.Head[i].Value
	}
	for i := range a.Extra {
		h[a.Extra[i].Name] = a.Extra[i].Value
	}
	if a.Noindex {
		h["X-Robots-Tag"] = valueNoindex
	}
	if a.Private {
		keepPrivate(h)
	}
	if timing := valueTiming[a.Result]; timing != nil && !a.ownTiming {
		h["Server-Timing"] = timing
	}
	w.WriteHeader(a.Status)
	switch {
	case a.whole && a.from.blob.Size <= site.ChunkSize:
		return a.send(w, a.first)
	case a.whole:
		return a.sendRange(ctx, w, byteRange{0, a.from.blob.Size}, a.first)
	case a.text != nil:
		return a.send(w, a.text)
	}
	first := a.first
	for i := range a.parts {
		if text := a.parts[i].text; text != "" {
			if err := a.send(w, []byte(text)); err != nil {
				return err
			}
		}
		if err := a.sendRange(ctx, w, a.parts[i].bytes, first); err != nil {
			return err
		}
		first = nil
	}
	return nil
}

// keepPrivate says that no shared cache may keep an answer, and a browser only to
// ask again, whatever the site's own rules say. What nobody may keep stays so.
func keepPrivate(h http.Header) {
	for name := range h {
		if site.OverridesCaching(name) {
			delete(h, name)
		}
	}
	if v := h["Cache-Control"]; len(v) != 1 || v[0] != site.CacheNever {
		h["Cache-Control"] = valuePrivate
	}
}

func (a *Answer) send(w http.ResponseWriter, b []byte) error {
	n, err := w.Write(b)
	a.count(int64(n))
	return err
}

func (a *Answer) count(n int64) {
	a.sent += n
	a.edge.metrics.sent.Add(float64(n))
}

// sendRange sends bytes of the variant chunk by chunk, and has those that follow
// fetched while one is being sent. It holds on to one chunk at most: a client
// that is slow gets the next one from wherever it is by then. first is the first
// chunk, if it is there already.
func (a *Answer) sendRange(ctx context.Context, w http.ResponseWriter, r byteRange, first []byte) error {
	end := r.start + r.length
	reading := a.edge.chunks.reading(a.page, a.from, a.from.chunkAt(end-1))
	for at := r.start; at < end; {
		n := a.from.chunkAt(at)
		offset := int64(n) * site.ChunkSize
		from, to := at-offset, min(end-offset, site.ChunkSize)
		chunk, file := first, (*os.File)(nil)
		first = nil
		if chunk == nil {
			var err error
			if chunk, file, err = reading.get(ctx, n); err != nil {
				return a.cutOff(err)
			}
		}
		reading.ahead(n)
		var err error
		if file != nil {
			err = a.sendFile(w, file, from, to-from, a.from.span(a.page, n).length)
		} else {
			err = a.send(w, chunk[from:to])
		}
		if err != nil {
			return err
		}
		at = offset + to
	}
	return nil
}

// cutOff is the end of an answer whose head was sent.
func (a *Answer) cutOff(err error) error {
	a.edge.metrics.cut.Inc()
	return fmt.Errorf("send %s: %w: %w", site.BlobKey(a.page.project, a.from.blob.SHA256), ErrCut, err)
}

// sendFile sends a part of a chunk from a verified file of that size, and closes
// it: within the kernel, where the connection lets it.
func (a *Answer) sendFile(w http.ResponseWriter, f *os.File, from, length, size int64) error {
	defer f.Close()
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return a.cutOff(err)
	}
	// net uses sendfile for a file, and for one in one LimitedReader. Caddy puts
	// one around what it is given, so what goes to the end has none here.
	var part io.Reader = f
	if from+length < size {
		part = &io.LimitedReader{R: f, N: length}
	}
	var n int64
	var err error
	if sender, ok := w.(io.ReaderFrom); ok {
		n, err = sender.ReadFrom(part)
	} else {
		buffer := copyBuffers.Get().(*[]byte)
		n, err = io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{part}, *buffer)
		copyBuffers.Put(buffer)
	}
	a.count(n)
	if reading := (*fs.PathError)(nil); errors.As(err, &reading) || errors.Is(err, syscall.EIO) || err == nil && n < length {
		return a.cutOff(fmt.Errorf("%s: got %d of %d bytes: %w", f.Name(), n, length, short(err)))
	}
	return err
}

// copyBuffers are for connections that can't take a file as it is.
var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}
