package blob

import (
	"context"
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

const (
	// maxUploadTime ends uploads that send a byte now and then.
	maxUploadTime = 15 * time.Minute
	// bodyTimeout ends those that send none.
	bodyTimeout = 30 * time.Second
)

// handler answers the URLs of a signer.
type handler struct {
	*signer
	// upload writes what a ticket permits, and reports whether those very bytes
	// were there already.
	upload func(context.Context, ticket, io.Reader) (existed bool, err error)
	// get opens what a ticket permits to read. None: the handler takes uploads only.
	get         func(context.Context, string, GetOptions) (*Object, error)
	bodyTimeout time.Duration
	log         *slog.Logger
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPut:
	case h.get == nil:
		w.Header().Set("Allow", "PUT")
		problem(w, http.StatusMethodNotAllowed, "a signed URL takes PUT here")
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD, PUT")
		problem(w, http.StatusMethodNotAllowed, "a signed URL takes GET, HEAD or PUT")
		return
	}
	t, err := h.ticketOf(r)
	if err == nil {
		err = CheckKey(t.key)
	}
	switch {
	case err != nil:
		w.Header().Set("Connection", "close") // the body is not wanted
		problem(w, http.StatusForbidden, err.Error())
	case r.Method == http.MethodPut:
		h.servePut(w, r, t)
	default:
		h.serveGet(w, r, t)
	}
}

func (h *handler) servePut(w http.ResponseWriter, r *http.Request, t ticket) {
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
	body := &deadlineReader{body: r.Body, control: control, timeout: h.bodyTimeout, end: time.Now().Add(maxUploadTime)}
	existed, err := h.upload(r.Context(), t, body)
	switch {
	case err == nil && existed:
		w.WriteHeader(http.StatusOK)
	case err == nil:
		w.WriteHeader(http.StatusCreated)
	case errors.Is(err, ErrContent):
		w.Header().Set("Connection", "close")
		problem(w, http.StatusBadRequest, err.Error())
	case body.failed && errors.Is(err, os.ErrDeadlineExceeded):
		w.Header().Set("Connection", "close")
		problem(w, http.StatusRequestTimeout, "the body came too slowly")
	case body.failed:
		// The client broke off; nobody reads an answer.
		w.Header().Set("Connection", "close")
		problem(w, http.StatusBadRequest, "the body could not be read to its end")
	default:
		h.log.LogAttrs(r.Context(), slog.LevelError, "upload failed", slog.String("key", t.key), slog.Any("error", err))
		problem(w, http.StatusInternalServerError, "the bucket could not store the object")
	}
}

func (h *handler) serveGet(w http.ResponseWriter, r *http.Request, t ticket) {
	o, err := h.get(r.Context(), t.key, GetOptions{})
	if errors.Is(err, fs.ErrNotExist) {
		problem(w, http.StatusNotFound, "there is no such object")
		return
	}
	if err != nil {
		h.log.LogAttrs(r.Context(), slog.LevelError, "download failed", slog.String("key", t.key), slog.Any("error", err))
		problem(w, http.StatusInternalServerError, "the bucket could not read the object")
		return
	}
	defer o.Body.Close()
	f, ok := o.Body.(io.ReadSeeker)
	if !ok {
		problem(w, http.StatusInternalServerError, "the bucket could not read the object")
		return
	}
	header := w.Header()
	// The bytes are a tenant's: no browser may take them for a page of the API's
	// own origin.
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Content-Disposition", "attachment")
	header.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "private, no-store")
	header.Set("ETag", strconv.Quote(o.ETag))
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
