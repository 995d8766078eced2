package blob

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"time"
)

// maxUploadTime ends uploads that send a byte now and then.
const maxUploadTime = 15 * time.Minute

// Handler serves the URLs that SignPut and SignGet make, below [HandlerPath].
// An upload is kept only where its length and its sha256 are those that were
// signed; it is durable after the next [Dir.Sync]. The answer is 201 where the
// object is new, and 200 where it was there.
func (d *Dir) Handler(log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodPut, http.MethodGet, http.MethodHead:
		default:
			w.Header().Set("Allow", "GET, HEAD, PUT")
			problem(w, http.StatusMethodNotAllowed, "a signed URL takes GET, HEAD or PUT")
			return
		}
		t, err := d.ticketOf(r)
		if err == nil {
			err = CheckKey(t.key)
		}
		switch {
		case err != nil:
			w.Header().Set("Connection", "close") // the body is not wanted
			problem(w, http.StatusForbidden, err.Error())
		case r.Method == http.MethodPut:
			d.servePut(w, r, t, log)
		default:
			d.serveGet(w, r, t, log)
		}
	})
}

func (d *Dir) servePut(w http.ResponseWriter, r *http.Request, t ticket, log *slog.Logger) {
	if r.ContentLength >= 0 && r.ContentLength != t.size {
		w.Header().Set("Connection", "close")
		status := http.StatusBadRequest
		if r.ContentLength > t.size {
			status = http.StatusRequestEntityTooLarge
		}
		problem(w, status, fmt.Sprintf("the body has %d bytes, the URL takes %d", r.ContentLength, t.size))
		return
	}
	control := http.NewResponseController(w)
	body := &deadlineReader{body: r.Body, control: control, timeout: d.bodyTimeout, end: time.Now().Add(maxUploadTime)}
	existed, err := d.upload(r.Context(), t, body)
	switch {
	case err == nil && existed:
		w.WriteHeader(http.StatusOK)
	case err == nil:
		w.WriteHeader(http.StatusCreated)
	case errors.Is(err, ErrContent):
		w.Header().Set("Connection", "close")
		problem(w, http.StatusBadRequest, err.Error())
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header().Set("Connection", "close")
		problem(w, http.StatusRequestTimeout, "the body came too slowly")
	case body.failed:
		// The client broke off; nobody reads an answer.
		w.Header().Set("Connection", "close")
		problem(w, http.StatusBadRequest, "the body could not be read to its end")
	default:
		log.LogAttrs(r.Context(), slog.LevelError, "upload failed", slog.String("key", t.key), slog.Any("error", err))
		problem(w, http.StatusInternalServerError, "the bucket could not store the object")
	}
}

// upload writes an object without waiting until it is durable. It reports
// whether the object was there already with those very bytes.
func (d *Dir) upload(ctx context.Context, t ticket, body io.Reader) (existed bool, err error) {
	s, err := d.stage(ctx, body, t.size, &t.sha256, false)
	if err != nil {
		return false, err
	}
	if existed = d.same(t); existed {
		return true, d.discard(s)
	}
	if err := d.name(ctx, s, t.key, PutOptions{}); err != nil {
		return false, errors.Join(err, d.discard(s))
	}
	return false, nil
}

// same reports whether the object that is there has the announced bytes. A
// damaged one is replaced by being uploaded again.
func (d *Dir) same(t ticket) bool {
	info, err := d.stat(t.key)
	if err != nil || info.Size != t.size {
		return false
	}
	f, _, err := d.open(t.key)
	if err != nil {
		return false
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return false
	}
	return [sha256.Size]byte(h.Sum(nil)) == t.sha256
}

func (d *Dir) serveGet(w http.ResponseWriter, r *http.Request, t ticket, log *slog.Logger) {
	o, err := d.Get(r.Context(), t.key, GetOptions{})
	if errors.Is(err, fs.ErrNotExist) {
		problem(w, http.StatusNotFound, "there is no such object")
		return
	}
	if err != nil {
		log.LogAttrs(r.Context(), slog.LevelError, "download failed", slog.String("key", t.key), slog.Any("error", err))
		problem(w, http.StatusInternalServerError, "the bucket could not read the object")
		return
	}
	defer o.Body.Close()
	f, ok := o.Body.(io.ReadSeeker)
	if !ok {
		problem(w, http.StatusInternalServerError, "the bucket could not read the object")
		return
	}
	h := w.Header()
	// The bytes are a tenant's: no browser may take them for a page of the API's
	// own origin.
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", "attachment")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "private, no-store")
	h.Set("ETag", strconv.Quote(o.ETag))
	http.ServeContent(w, r, "", o.Modified, f)
}

// deadlineReader gives a body a new deadline for every read, so that a client
// that stalls holds neither the connection nor the temporary file.
type deadlineReader struct {
	body    io.Reader
	control *http.ResponseController
	timeout time.Duration
	end     time.Time
	failed  bool
}

func (b *deadlineReader) Read(p []byte) (int, error) {
	deadline := time.Now().Add(b.timeout)
	if deadline.After(b.end) {
		deadline = b.end
	}
	// Where the connection knows no deadlines, the server's own apply.
	_ = b.control.SetReadDeadline(deadline)
	n, err := b.body.Read(p)
	if err != nil {
		b.failed = !errors.Is(err, io.EOF)
		if !b.failed {
			_ = b.control.SetReadDeadline(time.Time{})
		}
	}
	return n, err
}

// problem answers as RFC 9457 has it.
func problem(w http.ResponseWriter, status int, detail string) {
	body, _ := json.Marshal(struct { // strings and a number can't fail
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{"about:blank", http.StatusText(status), status, detail})
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
