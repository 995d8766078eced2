package publish

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// tree writes files: a name that ends in a slash is a folder, a text that
// begins with "-> " makes a link.
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			err = os.Symlink(strings.ReplaceAll(target, "DIR", dir), path)
		} else if strings.HasSuffix(name, "/") {
			err = os.MkdirAll(path, 0o755)
		} else {
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func names(f *Folder) (names []string) {
	for i := range f.files {
		names = append(names, f.files[i].name)
	}
	slices.Sort(names)
	return names
}

func TestScanTakesWhatIsServed(t *testing.T) {
	dir := tree(t, map[string]string{
		"index.html": "hi", "a/b.txt": "b", "ünï/ц.html": "u",
		".well-known/security.txt": "s", "a/.well-known/x": "x",
		".git/HEAD": "ref", "node_modules/x/index.js": "x", "a/node_modules/y.js": "y",
		".env": "SECRET=1", ".env.local": "SECRET=1", "a/.env.production": "S", ".DS_Store": "x", "a/.cache/x": "x",
		"_redirects": "/a /b", "_headers": "/*\n  X: y", "mini-vercel.json": `{"immutable":["x/*"]}`, "a/_redirects": "not a rule",
	})
	f, err := Scan(t.Context(), dir, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{".well-known/security.txt", "a/.well-known/x", "a/_redirects", "a/b.txt", "index.html", "ünï/ц.html"}
	if got := names(f); !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
	if f.Rules.Redirects != "/a /b" || f.Rules.Headers == "" || len(f.Config.Immutable) != 1 {
		t.Errorf("rules %+v, config %+v", f.Rules, f.Config)
	}
	if !f.Has("a/b.txt") || f.Has("a") || f.Bytes() != int64(len("hibusxnot a rule")) {
		t.Errorf("Has or Bytes is wrong: %d bytes", f.Bytes())
	}
}

func TestScanFollowsLinksThatStayInside(t *testing.T) {
	dir := tree(t, map[string]string{
		"real/page.html": "p", "real/deep/x.txt": "x",
		"file.html":               "-> real/page.html",
		"abs.html":                "-> DIR/real/page.html",
		"folder":                  "-> real",
		"twice":                   "-> folder",
		".env":                    "SECRET=1",
		"secret.txt":              "-> .env", // never published, under no name
		"modules":                 "-> node_modules/x",
		".dotted/y":               "y",
		"node_modules/x/index.js": "m",
	})
	f, err := Scan(t.Context(), dir, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"abs.html", "file.html", "folder/deep/x.txt", "folder/page.html", "real/deep/x.txt", "real/page.html", "twice/deep/x.txt", "twice/page.html"}
	if got := names(f); !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
}

func TestScanRefuses(t *testing.T) {
	outside := tree(t, map[string]string{"secret.txt": "s"})
	for name, row := range map[string]struct {
		files map[string]string
		want  []string // in the error
	}{
		"a link out of the folder":       {map[string]string{"a/leak.txt": "-> " + outside + "/secret.txt"}, []string{`"a/leak.txt"`, "leads out of the folder"}},
		"a relative link out":            {map[string]string{"leak": "-> ../../../../../../../../etc/passwd"}, []string{`"leak"`, "leads out"}},
		"a link to a folder outside":     {map[string]string{"leak": "-> " + outside}, []string{`"leak"`, "leads out"}},
		"a link through a link out":      {map[string]string{"a": "-> b", "b": "-> " + outside}, []string{"leads out"}},
		"a link to what is not there":    {map[string]string{"x.html": "-> nothing.html"}, []string{`"x.html"`, "leads to nothing"}},
		"a link to itself":               {map[string]string{"x": "-> x"}, []string{`"x"`, "leads to itself"}},
		"a link to the folder it is in":  {map[string]string{"a/x.txt": "x", "a/up": "-> ../a"}, []string{`"a/up"`, "never end"}},
		"a link to the root":             {map[string]string{"a/x.txt": "x", "a/up": "-> .."}, []string{`"a/up"`, "never end"}},
		"a name that is not UTF-8":       {map[string]string{"bad\xff.html": "x"}, []string{`"bad\xff.html"`, "not valid UTF-8", "rename"}},
		"a name with a control":          {map[string]string{"a/bad\nname.html": "x"}, []string{`"a/bad\nname.html"`, "control character"}},
		"a folder's name with a control": {map[string]string{"b\x7f/x.html": "x"}, []string{"control character"}},
		"nothing at all":                 {map[string]string{".git/HEAD": "x"}, []string{"no files"}},
		"a wrong mini-vercel.json":       {map[string]string{"index.html": "x", "mini-vercel.json": `{"imutable":[]}`}, []string{"mini-vercel.json", "imutable"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Scan(t.Context(), tree(t, row.files), Limits{})
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range row.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

func TestScanRefusesWhatIsNoFile(t *testing.T) {
	dir := tree(t, map[string]string{"index.html": "x"})
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Scan(t.Context(), dir, Limits{}); err == nil || !strings.Contains(err.Error(), `"pipe"`) {
		t.Errorf("a pipe: %v", err)
	}
	if _, err := Scan(t.Context(), filepath.Join(dir, "index.html"), Limits{}); err == nil || !strings.Contains(err.Error(), "is a file") {
		t.Errorf("a file: %v", err)
	}
	if _, err := Scan(t.Context(), filepath.Join(dir, "nothing"), Limits{}); err == nil {
		t.Error("a folder that is not there: no error")
	}
}

func TestScanAppliesLimits(t *testing.T) {
	dir := tree(t, map[string]string{"a.txt": "12345", "b.txt": "123", "c.txt": "12"})
	for name, row := range map[string]struct {
		limits Limits
		want   string // in the error; "" for none
	}{
		"files below":    {Limits{Files: 4}, ""},
		"files at":       {Limits{Files: 3}, ""},
		"files above":    {Limits{Files: 2}, "MAX_FILES"},
		"one file below": {Limits{FileBytes: 6}, ""},
		"one file at":    {Limits{FileBytes: 5}, ""},
		"one file above": {Limits{FileBytes: 4}, `"a.txt"`},
		"in all below":   {Limits{TotalBytes: 11}, ""},
		"in all at":      {Limits{TotalBytes: 10}, ""},
		"in all above":   {Limits{TotalBytes: 9}, "MAX_DEPLOYMENT_MIB"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Scan(t.Context(), dir, row.limits)
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("error %v, want one with %q", err, row.want)
			}
		})
	}
}

func TestScanNamesTheFileOverTheDefaultLimit(t *testing.T) {
	dir := tree(t, map[string]string{"index.html": "x"})
	path := filepath.Join(dir, "huge.bin")
	for size, ok := range map[int64]bool{512 << 20: true, 512<<20 + 1: false} {
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		err = f.Truncate(size) // a hole: no bytes are written
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		_, err = Scan(t.Context(), dir, Limits{})
		if ok != (err == nil) || err != nil && (!strings.Contains(err.Error(), `"huge.bin"`) || !strings.Contains(err.Error(), "MAX_FILE_MIB")) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestBytesForPeople(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 512 << 20: "512 MiB", 5 << 30: "5 GiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
}
