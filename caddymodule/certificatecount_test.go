package caddymodule_test

import (
	"net/http"
	"testing"

	"github.com/mini-vercel/mini-vercel/caddymodule"
)

func TestCertificatesOfAnyStorageAreCounted(t *testing.T) {
	b := newBucket(t)
	b.deploy("a.localhost", "d1", map[string]string{"/index.html": "home"})
	r, config := secure(t, caddymodule.Options{MetricsListen: "127.0.0.1:0", App: caddymodule.App{Bucket: caddymodule.Bucket{Directory: b.dir}}})
	client := browser(t, "HTTP/2.0", r.HTTPSAddr().String(), config)
	defer closeTransport(client)
	resp, err := client.Get("https://a.localhost/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.StatusCode)
	}
	// The internal CA's certificates are good for 12 hours. It is stored before the
	// handshake ends, and read with the first scrape.
	for days, want := range map[string]string{"expired": "0", "1": "1", "7": "0", "more": "0"} {
		if got := metric(t, r.MetricsAddr().String(), `mini_vercel_edge_certificates{days_left="`+days+`"}`); got != want {
			t.Errorf("%s days left: %s", days, got)
		}
	}
}
