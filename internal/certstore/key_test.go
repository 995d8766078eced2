package certstore

import (
	"strings"
	"testing"

	"github.com/caddyserver/certmagic"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

func TestKeys(t *testing.T) {
	for key, want := range map[string]string{
		"certificates/ca/a.example.com/a.example.com.crt": "values/certificates/ca/a.example.com/a.example.com.crt~",
		"acme/ca/users/ops@example.com/ops.key":           "values/acme/ca/users/ops@example.com/ops.key~",
		"*.example.com":                                   "values/%2A.example.com~",
		"..":                                              "values/%2E%2E~",
		"../../etc":                                       "values/%2E%2E/%2E%2E/etc~",
		"a~":                                              "values/a%7E~",
		"a%2Fb":                                           "values/a%252Fb~",
	} {
		got, err := valueKey(key)
		if err != nil || got != want {
			t.Errorf("%s: %s %v, want %s", key, got, err, want)
		}
		if back, ok := certmagicKey(got); !ok || back != key {
			t.Errorf("%s comes back as %s %v", key, back, ok)
		}
	}
	for _, k := range []string{"values/a", "a~", "locks/a", "values/~", "values/%~", "values/%4~", "values/%zz~", "values/a//b~"} {
		if back, ok := certmagicKey(k); ok {
			t.Errorf("%s is no value's key, but comes back as %q", k, back)
		}
	}
}

func TestLocksHaveOneSegmentEach(t *testing.T) {
	long := "issue_cert_" + strings.Repeat("a", 63) + "." + strings.Repeat("b", 63) + "." + strings.Repeat("c", 63) + "." + strings.Repeat("d", 57)
	names := []string{"", ".", "..", "a/b", "a%2Fb", "../../x", "issue_cert_*.example.com", "ari_AbC.dEf", "ari_aBC.dEf", long, long + "e", strings.Repeat("/", 90)}
	seen := map[string]string{}
	for _, name := range names {
		k := lockKey(name)
		if err := blob.CheckKey(k); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if strings.Count(k, "/") != 1 {
			t.Errorf("%q has more than a segment: %s", name, k)
		}
		if other, there := seen[k]; there {
			t.Errorf("%q and %q are one lock", name, other)
		}
		seen[k] = name
	}
}

func TestSitesAndTheirLocks(t *testing.T) {
	for _, domain := range []string{"a.example.com", "*.example.com"} {
		key := certmagic.StorageKeys.SiteCert("https://ca.example/dir", domain)
		folder, ok := site(key)
		if !ok || folder != certmagic.StorageKeys.CertsSitePrefix("https://ca.example/dir", domain) {
			t.Errorf("%s: %s %v", key, folder, ok)
		}
		if got := siteLock(folder); got != "issue_cert_"+domain {
			t.Errorf("%s is locked as %s", domain, got)
		}
	}
	for _, key := range []string{"acme/ca/users/x", "certificates/ca/x", "rw_test_1", "ocsp/x"} {
		if _, ok := site(key); ok {
			t.Errorf("%s is no certificate's", key)
		}
	}
}
