package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

const (
	downloadTries = 5
	firstWait     = 200 * time.Millisecond
)

// Download fetches the archive at a signed URL, which may be relative to the
// control plane's address, into a file that it makes, and returns its length.
func Download(ctx context.Context, base *url.URL, from site.URL, version, file string, limit int64) (size int64, err error) {
	u, err := base.Parse(from.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return 0, errors.New("the archive's URL can't be used")
	}
	out, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, fmt.Errorf("make a file for the archive: %w", err)
	}
	defer out.Close()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	wait := firstWait
	for try := 1; ; try++ {
		size, again, err := download(ctx, client, u, from, version, out, limit)
		if err == nil {
			return size, nil
		}
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		if !again || try == downloadTries {
			return 0, fmt.Errorf("the archive can't be downloaded: %w", err)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return 0, context.Cause(ctx)
		case <-timer.C:
		}
		wait *= 2
	}
}

func download(ctx context.Context, client *http.Client, u *url.URL, from site.URL, version string, out *os.File, limit int64) (size int64, again bool, err error) {
	method := from.Method
	if method == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return 0, false, errors.New("its URL can't be used")
	}
	for name, value := range from.Headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("User-Agent", "mini-vercel-builder/"+version)
	req.Header.Set("Accept-Encoding", "identity")
	res, err := client.Do(req)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // without the URL, which is a secret
		}
		return 0, true, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return 0, res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests, fmt.Errorf("the bucket answers with status %d", res.StatusCode)
	}
	if _, err := out.Seek(0, io.SeekStart); err != nil {
		return 0, false, err
	}
	if err := out.Truncate(0); err != nil {
		return 0, false, err
	}
	size, err = io.Copy(out, io.LimitReader(res.Body, limit+1))
	if err != nil {
		return 0, true, err
	}
	if size > limit {
		return 0, false, fmt.Errorf("it is larger than the %d MiB that are allowed", limit>>20)
	}
	return size, false, nil
}
