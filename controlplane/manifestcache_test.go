package controlplane

import (
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

func TestAReadNeverReplacesWhatWasWrittenMeanwhile(t *testing.T) {
	older, newer := &site.Manifest{}, &site.Manifest{}
	c := newManifestCache(1 << 20)
	began := c.written()
	c.put("key", newer)
	c.putRead("key", older, began)
	if c.get("key") != newer {
		t.Error("a read that began before the write replaced it")
	}
	began = c.written()
	c.drop("key")
	c.putRead("key", older, began)
	if c.get("key") != nil {
		t.Error("a read that began before the drop was kept")
	}
	c.putRead("key", newer, c.written())
	if c.get("key") != newer {
		t.Error("a read with nothing in between is not kept")
	}
}
