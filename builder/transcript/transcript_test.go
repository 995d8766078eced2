package transcript

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

type recorder struct{ lines []site.LogLine }

func (r *recorder) texts(stream site.Stream) (out []string) {
	for _, line := range r.lines {
		if line.Stream == stream {
			out = append(out, line.Text)
		}
	}
	return out
}

func newLog(limits site.Limits, secrets ...string) (*Log, *recorder) {
	r := &recorder{}
	if limits.LogBytes == 0 {
		limits.LogBytes = 1 << 20
	}
	if limits.LogLineBytes == 0 {
		limits.LogLineBytes = 1 << 10
	}
	now := func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }
	return New(limits, NewMasker(secrets), now, func(line site.LogLine) { r.lines = append(r.lines, line) }), r
}

// write sends text in pieces of a given size.
func write(t *testing.T, l *Log, text string, piece int) {
	t.Helper()
	w := l.Writer(site.Stdout)
	for len(text) > 0 {
		n := min(piece, len(text))
		if written, err := w.Write([]byte(text[:n])); err != nil || written != n {
			t.Fatal(written, err)
		}
		text = text[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOutputIsSplitIntoLines(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"lines", "a\nb\n", "a|b"},
		{"no final break", "a\nb", "a|b"},
		{"carriage returns", "10%\r20%\r100%\ndone\n", "10%|20%|100%|done"},
		{"both", "a\r\nb\r\n", "a|b"},
		{"an empty line", "a\n\nb\n", "a||b"},
		{"a bar that clears its line", "10%\r\x1b[K20%\r\x1b[K\rdone\n", "10%|20%|done"},
		{"nothing", "", ""},
	} {
		for _, piece := range []int{1, 2, 3, 1000} {
			l, r := newLog(site.Limits{})
			write(t, l, c.in, piece)
			if got := strings.Join(r.texts(site.Stdout), "|"); got != c.want {
				t.Errorf("%s, in pieces of %d: %q, want %q", c.name, piece, got, c.want)
			}
		}
	}
}

func TestLinesAreHarmless(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"colours stay", "\x1b[1;31mred\x1b[0m \x1b[38:2:1:2:3mx\x1b[m", "\x1b[1;31mred\x1b[0m \x1b[38:2:1:2:3mx\x1b[m"},
		{"a screen is not cleared", "a\x1b[2Jb\x1b[10;10Hc\x1b[?25ld", "abcd"},
		{"a title is not set", "a\x1b]0;title\x07b\x1b]2;x\x1b\\c", "abc"},
		{"a link keeps its text", "\x1b]8;;https://example.com\x1b\\text\x1b]8;;\x1b\\", "text"},
		{"an unfinished string swallows nothing", "a\x1b]0;rest", "a0;rest"},
		{"an unfinished sequence", "a\x1b[12", "a"},
		{"a lone escape", "a\x1b", "a"},
		{"an eight-bit introducer", "a\u009b31mb", "ab"},
		{"an eight-bit byte", "a\x9b31mb", "a\ufffd31mb"},
		{"a reset", "a\x1bcb\x1b(0c", "abc"},
		{"NUL, bell, backspace", "a\x00b\x07c\x08d\x7fe", "a\ufffdb\ufffdc\ufffdd\ufffde"},
		{"tabs stay", "a\tb", "a\tb"},
		{"invalid UTF-8", "a\xff\xfeb\xc3", "a\ufffd\ufffdb\ufffd"},
		{"valid UTF-8", "grün 漢字 🎉 \ufffd", "grün 漢字 🎉 \ufffd"},
		{"text that reads backwards", "a\u202eb\u2066c", "a\ufffdb\ufffdc"},
		{"line breaks of Unicode", "a\u2028b\u0085c", "a\ufffdb\ufffdc"},
		{"what looks like a colour", "\x1b[>4;2mx\x1b[" + strings.Repeat("1;", 100) + "my", "xy"},
		{"the platform's own events", `[{"v":1,"type":"failed"}]`, `[{"v":1,"type":"failed"}]`},
	} {
		l, r := newLog(site.Limits{})
		write(t, l, c.in, 1000)
		if got := strings.Join(r.texts(site.Stdout), "|"); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestALongLineIsCutAndSaysSo(t *testing.T) {
	for _, n := range []int{99, 100, 101, 10_000_000} {
		l, r := newLog(site.Limits{LogLineBytes: 100})
		write(t, l, strings.Repeat("é", n/2)+strings.Repeat("x", n%2)+"\nnext\n", 32<<10)
		lines := r.texts(site.Stdout)
		if len(lines) != 2 || lines[1] != "next" {
			t.Fatalf("%d bytes: %d lines", n, len(lines))
		}
		if cut := strings.HasSuffix(lines[0], "(line cut at 100 bytes)"); cut != (n > 100) || len(lines[0]) > 100 || !utf8.ValidString(lines[0]) {
			t.Errorf("%d bytes: %q", n, lines[0])
		}
	}
}

func TestTheLogEndsAtItsLimitOnce(t *testing.T) {
	l, r := newLog(site.Limits{LogBytes: 10 * (4 + lineCost)})
	write(t, l, strings.Repeat("full\n", 10), 7)
	if l.Cut() || len(r.lines) != 10 {
		t.Fatalf("at the limit: %d lines", len(r.lines))
	}
	write(t, l, "more\nand more\n", 7)
	write(t, l, "\n\n\n", 7)
	l.Say("still here")
	if notes := r.texts(site.System); len(notes) != 2 || !strings.Contains(notes[0], "limit of 200 bytes") || notes[1] != "still here" {
		t.Errorf("%q", notes)
	}
	if len(r.lines) != 12 {
		t.Errorf("%d lines", len(r.lines))
	}
}

func TestTheEndOfACutLogIsRemembered(t *testing.T) {
	l, _ := newLog(site.Limits{LogBytes: 100}, "hunter22")
	w := l.Writer(site.Stderr)
	for i := range 100_000 {
		if _, err := fmt.Fprintf(w, "line %d hunter22\n", i); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.Rest(2); len(got) != 2 || got[0] != "line 99998 [secret]" || got[1] != "line 99999 [secret]" {
		t.Errorf("%q", got)
	}
	if got := w.Rest(10_000); len(got) < 100 || len(got) > 1000 || len(w.rest) > restBytes {
		t.Errorf("%d lines", len(got))
	}
	if _, err := w.Write(bytes.Repeat([]byte("x"), 1<<20)); err != nil || len(w.Rest(10)) != 0 {
		t.Errorf("an endless line: %q", w.Rest(10))
	}
}

func TestAGigabyteOfLogIsCheap(t *testing.T) {
	l, r := newLog(site.DefaultLimits(), "some-secret-value")
	count := 0
	l.emit = func(site.LogLine) { count++ }
	chunk := bytes.Repeat([]byte("the same line again and again\n\n\xff\x00\r"), 1000)
	w := l.Writer(site.Stdout)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	for total := 0; total < 1<<30; total += len(chunk) {
		if _, err := w.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if elapsed := time.Since(began); elapsed > 20*time.Second {
		t.Errorf("took %v", elapsed)
	}
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 64<<20 {
		t.Errorf("holds %d bytes", kept)
	}
	if !l.Cut() || count > 2_000_000 || len(r.lines) != 0 {
		t.Errorf("%d lines", count)
	}
}

func TestSecretsAreMasked(t *testing.T) {
	const secret = "p4ss/w+rd & more"
	key := "-----BEGIN KEY-----\nMIIabcdefgh\n  indented1234\n-----END KEY-----\n"
	for _, c := range []struct{ name, in, want string }{
		{"plain", "x" + secret + "y", "x[secret]y"},
		{"twice, side by side", secret + secret, "[secret]"},
		{"overlapping", "abcdefgh", "[secret]"},
		{"escaped for a query", "q=" + url.QueryEscape(secret), "q=[secret]"},
		{"escaped for a path", "q=" + url.PathEscape(secret), "q=[secret]"},
		{"in base64", base64.StdEncoding.EncodeToString([]byte(secret)), "[secret]=="},
		{"in JSON", `{"k":"quo\"ted\\value"}`, `{"k":"[secret]"}`},
		{"in hexadecimal", fmt.Sprintf("%x", secret), "[secret]"},
		{"lines of a key", key, "[secret]|[secret]|  [secret]|[secret]"},
		{"a key in one line", strings.ReplaceAll(key, "\n", `\n`), "[secret]"},
		{"with a sequence inside", "p4ss/w\x1b[K+rd & more", "[secret]"},
		{"too short to be one", "yes 1", "yes 1"},
	} {
		for _, piece := range []int{1, 5, 1000} {
			l, r := newLog(site.Limits{}, secret, "abcdef", "cdefgh", `quo"ted\value`, key, "yes", "")
			write(t, l, c.in, piece)
			if got := strings.Join(r.texts(site.Stdout), "|"); got != c.want {
				t.Errorf("%s: %q, want %q", c.name, got, c.want)
			}
		}
	}
	for shift := range 3 {
		l, r := newLog(site.Limits{}, "correct horse battery")
		write(t, l, base64.StdEncoding.EncodeToString([]byte("user"[:1+shift]+"correct horse battery!")), 4)
		if got := r.lines[0].Text; !strings.Contains(got, Mask) || len(got) > len(Mask)+10 {
			t.Errorf("inside of base64, %d: %q", shift, got)
		}
	}
}

func TestASecretAcrossTheCutIsMasked(t *testing.T) {
	secret := strings.Repeat("s3cr", 50)
	for pad := range 300 {
		l, r := newLog(site.Limits{LogLineBytes: 200}, secret)
		write(t, l, strings.Repeat(secret+" ", pad%4)+strings.Repeat("-", pad)+secret+strings.Repeat(secret, 3), 17)
		if strings.Contains(r.lines[0].Text, "s3cr") || len(r.lines[0].Text) > 200 {
			t.Fatalf("%d: %q", pad, r.lines[0].Text)
		}
	}
}

func TestSayMasksAndSplits(t *testing.T) {
	l, r := newLog(site.Limits{}, "hunter22")
	l.Say("clone of %s\nfailed", "https://hunter22@example.com")
	if got := strings.Join(r.texts(site.System), "|"); got != "clone of https://[secret]@example.com|failed" {
		t.Error(got)
	}
}

func FuzzNoSecretGetsThrough(f *testing.F) {
	f.Add("before %s after", "s3cret-value", 3)
	f.Add("\x1b[%s\x1b[0m%s", "a\x1bbcd", 1)
	f.Add("%s\r\n\xff%s", "多字節", 2)
	f.Fuzz(func(t *testing.T, text, secret string, piece int) {
		if piece < 1 || len(text) > 10_000 || len(secret) > 1000 || strings.ContainsAny(secret, "\r\n") || strings.Contains(Mask, secret) {
			t.Skip()
		}
		secret = strings.Trim(secret, " \t")
		l, r := newLog(site.Limits{LogLineBytes: 500}, secret)
		write(t, l, strings.ReplaceAll(text, "%s", secret), piece)
		for _, line := range r.lines {
			if !utf8.ValidString(line.Text) || clean(line.Text) != line.Text {
				t.Errorf("%q is not harmless", line.Text)
			}
			if shown := strings.ReplaceAll(line.Text, Mask, ""); len(secret) >= 8 && line.Stream == site.Stdout && strings.Contains(shown, secret) && strings.Contains(line.Text, secret) {
				t.Errorf("%q shows %q", line.Text, secret)
			}
		}
	})
}

func BenchmarkLog(b *testing.B) {
	secrets := make([]string, 50)
	for i := range secrets {
		secrets[i] = fmt.Sprintf("secret-%d-%d", i, i*i*7919)
	}
	limits := site.DefaultLimits()
	limits.LogBytes = 1 << 50
	l, _ := newLog(limits, secrets...)
	l.emit = func(site.LogLine) {}
	chunk := bytes.Repeat([]byte("> vite build: transforming (1234) node_modules/react-dom/index.js\n"), 500)
	b.SetBytes(int64(len(chunk)))
	w := l.Writer(site.Stdout)
	for b.Loop() {
		_, _ = w.Write(chunk)
	}
}
