package blob_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

// faulty is a service that answers as a test has it; n counts the requests.
type faulty struct {
	n       atomic.Int64
	options blob.S3Options
}

func newFaulty(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, n int)) *faulty {
	t.Helper()
	f := &faulty{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r, int(f.n.Add(1))) }))
	t.Cleanup(server.Close)
	f.options = blob.S3Options{Bucket: "b", Endpoint: server.URL, AccessKeyID: "key", SecretAccessKey: "secret", MaxAttempts: 3}
	return f
}

// object answers a read.
func object(w http.ResponseWriter, body string) {
	w.Header().Set("ETag", `"etag"`)
	_, _ = io.WriteString(w, body)
}

func failure(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>it failed</Message></Error>", code)
}

func read(ctx context.Context, s blob.Store, opts blob.GetOptions) (string, error) {
	o, err := s.Get(ctx, "object", opts)
	if err != nil {
		return "", err
	}
	defer o.Body.Close()
	b, err := io.ReadAll(o.Body)
	return string(b), err
}

func TestS3RepeatsWhatFailed(t *testing.T) {
	for _, tt := range []struct {
		status, failures, attempts int
		requests                   int64
		ok                         bool
	}{
		{500, 2, 3, 3, true},
		{503, 1, 2, 2, true},
		{429, 1, 2, 2, true},
		{503, 2, 2, 2, false},
		{503, 1, 1, 1, false},
		{403, 1, 3, 1, false}, // it would fail again
	} {
		t.Run(fmt.Sprintf("%d times %d, %d attempts", tt.failures, tt.status, tt.attempts), func(t *testing.T) {
			t.Parallel()
			f := newFaulty(t, func(w http.ResponseWriter, r *http.Request, n int) {
				_, _ = io.Copy(io.Discard, r.Body)
				switch code := map[int]string{429: "SlowDown", 503: "SlowDown", 403: "AccessDenied"}[tt.status]; {
				case n <= tt.failures:
					failure(w, tt.status, code)
				case r.Method == http.MethodPut:
					w.Header().Set("ETag", `"etag"`)
				default:
					object(w, "body")
				}
			})
			f.options.MaxAttempts = tt.attempts
			s := openS3(t, f.options)
			if body, err := read(t.Context(), s, blob.GetOptions{}); (err == nil) != tt.ok || tt.ok && body != "body" || isNotExist(err) {
				t.Errorf("get: %q, %v", body, err)
			}
			if f.n.Load() != tt.requests {
				t.Errorf("%d requests to read, want %d", f.n.Load(), tt.requests)
			}
			f.n.Store(0)
			for name, body := range map[string]string{"small": "x", "large": strings.Repeat("x", 3<<20)} {
				f.n.Store(0)
				info, err := s.Put(t.Context(), "object", strings.NewReader(body), int64(len(body)), blob.PutOptions{})
				if (err == nil) != tt.ok || tt.ok && info.ETag != "etag" {
					t.Errorf("put %s: %+v, %v", name, info, err)
				}
				if f.n.Load() != tt.requests {
					t.Errorf("%d requests to write %s, want %d", f.n.Load(), name, tt.requests)
				}
			}
		})
	}
}

func TestS3SendsABodyOnceThatCantBeReadAgain(t *testing.T) {
	f := newFaulty(t, func(w http.ResponseWriter, _ *http.Request, n int) { failure(w, 503, "SlowDown") })
	s := openS3(t, f.options)
	body := io.MultiReader(strings.NewReader(strings.Repeat("x", 2<<20)))
	if _, err := s.Put(t.Context(), "object", body, 2<<20, blob.PutOptions{}); err == nil || f.n.Load() != 1 {
		t.Errorf("%d requests, %v", f.n.Load(), err)
	}
}

// TestS3FindsItsOwnConditionalWrite loses the answer to a write that was kept.
func TestS3FindsItsOwnConditionalWrite(t *testing.T) {
	for name, there := range map[string]string{"its own": "mine", "another's": "not mine", "a longer one": "mine too"} {
		t.Run(name, func(t *testing.T) {
			f := newFaulty(t, func(w http.ResponseWriter, r *http.Request, n int) {
				switch {
				case r.Method == http.MethodGet:
					object(w, there)
				case n == 1:
					failure(w, 500, "InternalError")
				default:
					failure(w, 412, "PreconditionFailed")
				}
			})
			info, err := openS3(t, f.options).Put(t.Context(), "object", strings.NewReader("mine"), 4, blob.PutOptions{IfNoneMatch: true})
			if own := there == "mine"; own && (err != nil || info.ETag != "etag") || !own && !errors.Is(err, blob.ErrPrecondition) {
				t.Errorf("%+v, %v", info, err)
			}
		})
	}
	// A first attempt that is refused was nobody's.
	f := newFaulty(t, func(w http.ResponseWriter, r *http.Request, n int) { failure(w, 412, "PreconditionFailed") })
	_, err := openS3(t, f.options).Put(t.Context(), "object", strings.NewReader("mine"), 4, blob.PutOptions{IfNoneMatch: true})
	if !errors.Is(err, blob.ErrPrecondition) || f.n.Load() != 1 {
		t.Errorf("%d requests, %v", f.n.Load(), err)
	}
}

func TestS3AnswersThatAreNotRight(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func(w http.ResponseWriter)
		opts   blob.GetOptions
		want   error // nil: any but fs.ErrNotExist
	}{
		{"a body that is cut", func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half of it")
		}, blob.GetOptions{}, io.ErrUnexpectedEOF},
		{"a range that is cut", func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", "bytes 0-99/200")
			w.Header().Set("Content-Length", "100")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = io.WriteString(w, "half of it")
		}, blob.GetOptions{Length: 100}, io.ErrUnexpectedEOF},
		{"no length", func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, "chunk")
			w.(http.Flusher).Flush()
		}, blob.GetOptions{}, nil},
		{"the whole instead of a range", func(w http.ResponseWriter) { object(w, "0123456789") }, blob.GetOptions{Offset: 5}, nil},
		{"a range without a size", func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", "bytes 5-9/*")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = io.WriteString(w, "56789")
		}, blob.GetOptions{Offset: 5}, nil},
		{"a missing bucket", func(w http.ResponseWriter) { failure(w, 404, "NoSuchBucket") }, blob.GetOptions{}, nil},
		{"somebody else's 404", func(w http.ResponseWriter) {
			w.WriteHeader(404)
			_, _ = io.WriteString(w, "<html>not found</html>")
		}, blob.GetOptions{}, nil},
		{"a 404 of nothing", func(w http.ResponseWriter) { w.WriteHeader(404) }, blob.GetOptions{}, nil},
		{"a denial", func(w http.ResponseWriter) { failure(w, 403, "AccessDenied") }, blob.GetOptions{}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFaulty(t, func(w http.ResponseWriter, _ *http.Request, _ int) { tt.answer(w) })
			_, err := read(t.Context(), openS3(t, f.options), tt.opts)
			if err == nil || isNotExist(err) || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "Signature=")) {
				t.Errorf("a secret is told: %v", err)
			}
		})
	}
	f := newFaulty(t, func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(404) })
	if _, err := openS3(t, f.options).Stat(t.Context(), "object"); err == nil || isNotExist(err) {
		t.Errorf("stat of a 404 of nothing: %v", err)
	}
	f = newFaulty(t, func(w http.ResponseWriter, _ *http.Request, _ int) { object(w, "0123456789") })
	if body, err := read(t.Context(), openS3(t, f.options), blob.GetOptions{Length: 4}); err != nil || body != "0123" {
		t.Errorf("the beginning of a whole: %q, %v", body, err)
	}
}

func TestS3WaitsNotForEver(t *testing.T) {
	ended := make(chan struct{})
	defer close(ended)
	for _, tt := range []struct {
		name   string
		answer func(w http.ResponseWriter)
	}{
		{"no answer", func(http.ResponseWriter) {}},
		{"half a body", func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half of it")
			w.(http.Flusher).Flush()
		}},
	} {
		f := newFaulty(t, func(w http.ResponseWriter, r *http.Request, _ int) {
			tt.answer(w)
			select {
			case <-ended:
			case <-r.Context().Done():
			}
		})
		f.options.MaxAttempts = 1
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := read(ctx, openS3(t, f.options), blob.GetOptions{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s, with a deadline: %v", tt.name, err)
		}
		cancel()
		f.options.Silence = 50 * time.Millisecond
		if _, err := read(t.Context(), openS3(t, f.options), blob.GetOptions{}); err == nil {
			t.Errorf("%s, without one: no error", tt.name)
		}
	}
}

// TestS3IsPatientWhileBytesMove sends a body for longer than a silence may be.
func TestS3IsPatientWhileBytesMove(t *testing.T) {
	t.Parallel()
	f := newFaulty(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		if n, err := io.Copy(io.Discard, r.Body); n != 2<<20 || err != nil {
			failure(w, 400, "IncompleteBody")
			return
		}
		w.Header().Set("ETag", `"etag"`)
	})
	f.options.Silence = 2 * time.Second
	in, out := io.Pipe()
	go func() {
		piece := make([]byte, 64<<10)
		for range 32 {
			time.Sleep(100 * time.Millisecond) // a slow client
			if _, err := out.Write(piece); err != nil {
				return
			}
		}
		out.Close()
	}()
	if _, err := openS3(t, f.options).Put(t.Context(), "object", in, 2<<20, blob.PutOptions{}); err != nil {
		t.Error(err)
	}
}

func TestS3UsesConnectionsAgain(t *testing.T) {
	var addresses atomic.Pointer[string]
	f := newFaulty(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if first := addresses.Swap(&r.RemoteAddr); first != nil && *first != r.RemoteAddr {
			t.Errorf("request %d came by another connection", n)
		}
		if n%2 == 0 {
			failure(w, 404, "NoSuchKey")
			return
		}
		object(w, "body")
	})
	s := openS3(t, f.options)
	for range 6 {
		if _, err := read(t.Context(), s, blob.GetOptions{}); err != nil && !isNotExist(err) {
			t.Fatal(err)
		}
	}
}

func TestS3ListsWithoutEnd(t *testing.T) {
	f := newFaulty(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		_, _ = io.WriteString(w, "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>same</NextContinuationToken>"+
			"<Contents><Key>a</Key></Contents><Contents><Key>folder/</Key></Contents></ListBucketResult>")
	})
	var last error
	for info, err := range openS3(t, f.options).List(t.Context(), "", blob.ListOptions{}) {
		if last = err; err == nil && info.Key != "a" {
			t.Errorf("listed %q", info.Key)
		}
	}
	if last == nil || f.n.Load() > 3 {
		t.Errorf("%d requests, %v", f.n.Load(), last)
	}
}

func TestS3CorrectsAWrongClock(t *testing.T) {
	ahead := time.Now().Add(3 * time.Hour)
	f := newFaulty(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		w.Header().Set("Date", ahead.UTC().Format(http.TimeFormat))
		signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
		if err != nil || signed.Sub(ahead).Abs() > 15*time.Minute {
			failure(w, 403, "RequestTimeTooSkewed")
			return
		}
		object(w, "body")
	})
	s := openS3(t, f.options)
	for want := range 2 {
		if body, err := read(t.Context(), s, blob.GetOptions{}); err != nil || body != "body" || f.n.Load() != int64(want+2) {
			t.Errorf("%q, %v after %d requests", body, err, f.n.Load())
		}
	}
}

// TestS3StatUsesItsConnectionAgain: many are made, one after the other, and a
// handshake with the service takes longer than the answer.
func TestS3StatUsesItsConnectionAgain(t *testing.T) {
	var opened atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"x"`)
		w.Header().Set("Content-Range", "bytes 0-0/1000")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write([]byte("b"))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	s := openS3(t, blob.S3Options{Bucket: "b", Endpoint: server.URL, AccessKeyID: "k", SecretAccessKey: "s"})
	for range 10 {
		if info, err := s.Stat(t.Context(), "projects/p/project"); err != nil || info.Size != 1000 {
			t.Fatalf("%+v, %v", info, err)
		}
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("%d connections for 10 questions", n)
	}
}
