package source

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// entry is one entry of an archive that a test makes.
type entry struct {
	name, body string
	kind       byte // tar.TypeReg if 0
	target     string
	mode       int64
}

func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if e.kind == 0 {
			e.kind = tar.TypeReg
		}
		if e.mode == 0 {
			e.mode = 0o644
		}
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Linkname: e.target, Mode: e.mode, Size: int64(len(e.body)), Format: tar.FormatPAX}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zstded(t testing.TB, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(b, nil)
}

func zipOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		mode := fs.FileMode(0o644)
		if e.mode != 0 {
			mode = fs.FileMode(e.mode)
		}
		body := e.body
		switch e.kind {
		case tar.TypeSymlink:
			mode, body = fs.ModeSymlink|0o777, e.target
		case tar.TypeChar:
			mode = fs.ModeDevice | fs.ModeCharDevice
		case tar.TypeFifo:
			mode = fs.ModeNamedPipe
		case tar.TypeDir:
			mode = fs.ModeDir | 0o755
		}
		h.SetMode(mode)
		out, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(out, body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var testLimits = ArchiveLimits{Files: 100, FileBytes: 1 << 20, TotalBytes: 4 << 20}

func unpackBytes(t testing.TB, archive []byte, limits ArchiveLimits) (dir string, err error) {
	t.Helper()
	file, dir := filepath.Join(t.TempDir(), "archive"), t.TempDir()
	if err := os.WriteFile(file, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, Unpack(t.Context(), file, dir, limits)
}

// tree lists what is below a folder.
func tree(t testing.TB, dir string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		name, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		switch {
		case e.IsDir():
			name += "/"
		case info.Mode()&fs.ModeSymlink != 0:
			target, _ := os.Readlink(p)
			name += " -> " + target
		default:
			content, _ := os.ReadFile(p)
			name += "=" + string(content)
			if info.Mode()&0o111 != 0 {
				name += "*"
			}
			if info.Mode()&(fs.ModeSetuid|fs.ModeSetgid|0o022) != 0 {
				name += fmt.Sprintf("(%v)", info.Mode())
			}
		}
		out = append(out, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestArchivesAreUnpacked(t *testing.T) {
	entries := []entry{
		{name: "src/", kind: tar.TypeDir}, {name: "src/main.js", body: "js"}, {name: "./package.json", body: "{}"},
		{name: "run.sh", body: "#!", mode: 0o755}, {name: "latest", kind: tar.TypeSymlink, target: "src/main.js"}, {name: "a/b/c.txt", body: "deep"},
	}
	want := []string{"a/", "a/b/", "a/b/c.txt=deep", "latest -> src/main.js", "package.json={}", "run.sh=#!*", "src/", "src/main.js=js"}
	plain := tarOf(t, entries...)
	for name, archive := range map[string][]byte{"tar": plain, "tar.gz": gzipped(t, plain), "tar.zst": zstded(t, plain), "zip": zipOf(t, entries...)} {
		dir, err := unpackBytes(t, archive, testLimits)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := tree(t, dir); !slices.Equal(got, want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestASingleFolderIsUnwrapped(t *testing.T) {
	for _, entries := range [][]entry{
		{{name: "site-abc/index.html", body: "hi"}, {name: "site-abc/site-abc/x", body: "x"}},
		{{name: "pax_global_header", kind: tar.TypeXGlobalHeader}, {name: "site-abc/", kind: tar.TypeDir}, {name: "site-abc/index.html", body: "hi"}, {name: "site-abc/site-abc/x", body: "x"}},
	} {
		if entries[0].kind == tar.TypeXGlobalHeader {
			entries = entries[1:]
		}
		dir, err := unpackBytes(t, tarOf(t, entries...), testLimits)
		if got := tree(t, dir); err != nil || !slices.Equal(got, []string{"index.html=hi", "site-abc/", "site-abc/x=x"}) {
			t.Errorf("%q %v", got, err)
		}
	}
}

func TestArchivesThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		name    string
		entries []entry
		want    string
		tarOnly bool
	}{
		{"absolute", []entry{{name: "/etc/passwd"}}, `"/etc/passwd": its name is absolute`, false},
		{"upwards", []entry{{name: "../evil"}}, `"../evil": its name leads out`, false},
		{"upwards in the middle", []entry{{name: "a/../../evil"}}, "leads out", false},
		{"upwards but not out", []entry{{name: "a/../b"}}, "leads out", false},
		{"a backslash", []entry{{name: `..\evil`}}, "backslash", false},
		{"a drive", []entry{{name: "C:/evil"}}, "absolute", false},
		{"a line break", []entry{{name: "a\nb"}}, "control character", false},
		{"not UTF-8", []entry{{name: "a\xff"}}, "UTF-8", false},
		{"deep", []entry{{name: strings.Repeat("a/", 300) + "b"}}, "folders deep", false},
		{"a long part", []entry{{name: strings.Repeat("a", 300)}}, "too long", false},
		{"twice", []entry{{name: "a", body: "1"}, {name: "./a", body: "2"}}, `"a" is there twice`, false},
		{"a folder on a file", []entry{{name: "a", body: "1"}, {name: "a/b", body: "2"}}, "is no folder", false},
		{"a file on a folder", []entry{{name: "a/b", body: "1"}, {name: "a", body: "2"}}, "twice", false},
		{"a link out", []entry{{name: "a", kind: tar.TypeSymlink, target: "../../etc/passwd"}}, "leads out", false},
		{"an absolute link", []entry{{name: "a", kind: tar.TypeSymlink, target: "/etc/passwd"}}, `to "/etc/passwd"`, false},
		{"written through a link", []entry{{name: "a", kind: tar.TypeSymlink, target: "."}, {name: "a/b", body: "x"}}, "is no folder", false},
		{"links that together lead out", []entry{{name: "d/x"}, {name: "a", kind: tar.TypeSymlink, target: "d/.."}, {name: "d/up", kind: tar.TypeSymlink, target: "../a/../.."}}, "leads out", false},
		{"a device", []entry{{name: "null", kind: tar.TypeChar}}, "devices", false},
		{"a pipe", []entry{{name: "pipe", kind: tar.TypeFifo}}, "devices", false},
		{"a hard link", []entry{{name: "a"}, {name: "b", kind: tar.TypeLink, target: "/etc/passwd"}}, "hard links", true},
		{"a large file", []entry{{name: "big", body: strings.Repeat("x", 1<<20+1)}}, `"big" is larger than the 1 MiB`, false},
		{"large in all", []entry{{name: "1", body: strings.Repeat("x", 1<<20)}, {name: "2", body: strings.Repeat("x", 1<<20)}, {name: "3", body: strings.Repeat("x", 1<<20)}, {name: "4", body: strings.Repeat("x", 1<<20)}, {name: "5", body: "x"}}, "larger than 4 MiB", false},
		{"nothing", nil, "no files", false},
	} {
		kinds := map[string][]byte{"tar.gz": gzipped(t, tarOf(t, c.entries...))}
		if !c.tarOnly {
			kinds["zip"] = zipOf(t, c.entries...)
		}
		for kind, archive := range kinds {
			if _, err := unpackBytes(t, archive, testLimits); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, %s: %v, want %q", c.name, kind, err, c.want)
			}
		}
	}
	many := make([]entry, 101)
	for i := range many {
		many[i].name = fmt.Sprint(i)
	}
	if _, err := unpackBytes(t, tarOf(t, many...), testLimits); err == nil || !strings.Contains(err.Error(), "more than 100 entries") {
		t.Errorf("%v", err)
	}
	if _, err := unpackBytes(t, tarOf(t, many[:100]...), testLimits); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if _, err := unpackBytes(t, zipOf(t, many...), testLimits); err == nil || !strings.Contains(err.Error(), "more than 100 entries") {
		t.Errorf("%v", err)
	}
	for name, content := range map[string]string{"text": "hello", "empty": "", "damaged gzip": "\x1f\x8b123", "damaged zip": "PK\x03\x04123"} {
		if _, err := unpackBytes(t, []byte(content), testLimits); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// zeros is an archive of one file that is far larger than the archive.
func zeros(t *testing.T, mebibytes int) []byte {
	t.Helper()
	var head bytes.Buffer
	w := tar.NewWriter(&head)
	if err := w.WriteHeader(&tar.Header{Name: "zeros", Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(mebibytes) << 20}); err != nil {
		t.Fatal(err)
	}
	// A gzip stream may have many members.
	return append(gzipped(t, head.Bytes()), bytes.Repeat(gzipped(t, make([]byte, 1<<20)), mebibytes)...)
}

func TestABombIsDefused(t *testing.T) {
	wide := ArchiveLimits{Files: 10, FileBytes: 1 << 40, TotalBytes: 1 << 40}
	dir, err := unpackBytes(t, zeros(t, 200), wide)
	if err == nil || !strings.Contains(err.Error(), "times its size") || !strings.Contains(err.Error(), `"zeros"`) {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "zeros")); err != nil || info.Size() > 66<<20 {
		t.Errorf("%v %v", info.Size(), err)
	}
}

func TestUnpackingEndsWithItsContext(t *testing.T) {
	file, dir := filepath.Join(t.TempDir(), "archive"), t.TempDir()
	if err := os.WriteFile(file, tarOf(t, entry{name: "a"}), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Unpack(ctx, file, dir, testLimits); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestDownload(t *testing.T) {
	fails := 2
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/moved":
			http.Redirect(w, r, "/archive", http.StatusFound)
		case r.URL.Path != "/archive" || r.URL.RawQuery != "sig=1" || r.Header.Get("X-Extra") != "yes":
			w.WriteHeader(http.StatusForbidden)
		case fails > 0:
			fails--
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			_, _ = io.WriteString(w, "0123456789")
		}
	}))
	defer server.Close()
	base, err := url.Parse(server.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	get := func(address string, limit int64) (string, error) {
		file := filepath.Join(t.TempDir(), "x")
		_, err := Download(t.Context(), base, site.URL{URL: address, Headers: map[string]string{"X-Extra": "yes"}}, "1", file, limit)
		content, _ := os.ReadFile(file)
		return string(content), err
	}
	if content, err := get("/archive?sig=1", 10); err != nil || content != "0123456789" {
		t.Errorf("%q %v", content, err)
	}
	for address, limit := range map[string]int64{"/archive?sig=1": 9, "/archive?sig=2": 10, "/moved": 10, "file:///etc/passwd": 10} {
		if _, err := get(address, limit); err == nil || strings.Contains(err.Error(), "sig=") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func FuzzUnpackStaysInside(f *testing.F) {
	f.Add(tarOf(f, entry{name: "a/b", body: "x"}, entry{name: "c", kind: tar.TypeSymlink, target: "a"}))
	f.Add(zipOf(f, entry{name: "a/b", body: "x"}, entry{name: "c", kind: tar.TypeSymlink, target: "../a"}))
	f.Add(gzipped(f, tarOf(f, entry{name: "../a", body: "x"})))
	f.Add(zstded(f, tarOf(f, entry{name: "/a", body: "x"})))
	f.Fuzz(func(t *testing.T, archive []byte) {
		outer := t.TempDir()
		dir := filepath.Join(outer, "deep", "inside")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "archive")
		if err := os.WriteFile(file, archive, 0o600); err != nil {
			t.Fatal(err)
		}
		err := Unpack(t.Context(), file, dir, ArchiveLimits{Files: 20, FileBytes: 1 << 16, TotalBytes: 1 << 18})
		if got := tree(t, filepath.Join(outer, "deep")); len(got) < 1 || got[0] != "inside/" {
			t.Fatalf("%q", got)
		}
		if above, _ := os.ReadDir(outer); len(above) != 1 {
			t.Fatalf("%v", above)
		}
		if err != nil {
			return
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		_ = fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
			if e != nil && e.Type()&(fs.ModeDevice|fs.ModeNamedPipe|fs.ModeSocket|fs.ModeIrregular) != 0 {
				t.Fatalf("%s is a %v", name, e.Type())
			}
			if e != nil && e.Type()&fs.ModeSymlink != 0 {
				if _, err := root.Stat(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Fatalf("%s leads out: %v", name, err)
				}
			}
			return nil
		})
	})
}
