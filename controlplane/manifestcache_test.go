package controlplane

import (
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

func TestAReadNeverReplacesWhatWasWrittenMeanwhile(t *testing.T) {
	c := newManifestCache(1 << 20)
	older, newer := encodedManifest{Manifest: &site.Manifest{}}, encodedManifest{Manifest: &site.Manifest{}}
	kept := func(m encodedManifest) bool {
		got, ok := c.get("key")
		return ok && got.Manifest == m.Manifest
	}
	began := c.written()
	c.put("key", newer)
	c.putRead("key", older, began)
	if !kept(newer) {
		t.Error("a read that began before the write replaced it")
	}
	began = c.written()
	c.drop("key")
	c.putRead("key", older, began)
	if kept(older) {
		t.Error("a read that began before the drop was kept")
	}
	c.putRead("key", newer, c.written())
	if !kept(newer) {
		t.Error("a read with nothing in between is not kept")
	}
}
