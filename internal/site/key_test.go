package site

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestKeys(t *testing.T) {
	hash := HashOf([]byte("x"))
	for got, want := range map[string]string{
		HeadKey:                       "changes/head",
		RouteKey("a.example.com"):     "routes/a.example.com",
		ProjectPrefix("p"):            "projects/p/",
		ProjectKey("p"):               "projects/p/project",
		ManifestsPrefix("p"):          "projects/p/deployments/",
		ManifestKey("p", "d"):         "projects/p/deployments/d",
		BlobsPrefix("p"):              "projects/p/blobs/",
		BlobKey("p", hash):            "projects/p/blobs/" + hash.String(),
		RoutesPrefix + ProjectsPrefix: "routes/projects/",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestParseBlobKey(t *testing.T) {
	hash := HashOf([]byte("x"))
	project, got, err := ParseBlobKey(BlobKey("p-1", hash))
	if project != "p-1" || got != hash || err != nil {
		t.Errorf("%q, %s, %v", project, got, err)
	}
	hex := hash.String()
	for _, key := range []string{
		"", "projects/", "projects/p/blobs/", "projects/p/blobs/" + hex[1:], "projects/p/blobs/" + hex + "0", "projects/p/blobs/" + strings.ToUpper(hex),
		"projects//blobs/" + hex, "projects/a/b/blobs/" + hex, "projects/p/blobs/blobs/" + hex, "projects/p/deployments/" + hex, "blobs/" + hex, "p/blobs/" + hex,
		"/projects/p/blobs/" + hex, "projects/p/blobs/" + hex + "/",
	} {
		if project, _, err := ParseBlobKey(key); err == nil {
			t.Errorf("%q is a blob of %q", key, project)
		}
	}
}

func TestParseHash(t *testing.T) {
	const hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	h, err := ParseHash(hex)
	if err != nil || h != HashOf([]byte("abc")) || h.String() != hex {
		t.Errorf("%s, %v", h, err)
	}
	for _, s := range []string{"", hex[:63], hex + "0", strings.ToUpper(hex), "g" + hex[1:], " " + hex[1:], hex[:63] + "\x00"} {
		if _, err := ParseHash(s); err == nil {
			t.Errorf("%q is a hash", s)
		}
	}
	b, err := json.Marshal(map[Hash]Hash{h: h})
	if err != nil || string(b) != `{"`+hex+`":"`+hex+`"}` {
		t.Errorf("%s, %v", b, err)
	}
	var again map[Hash]Hash
	if err := json.Unmarshal(b, &again); err != nil || again[h] != h {
		t.Errorf("%v, %v", again, err)
	}
	if err := json.Unmarshal([]byte(`"`+hex[1:]+`"`), &h); err == nil {
		t.Error("a short hash is read from JSON")
	}
}
