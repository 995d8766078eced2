package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/builder/publish"
)

func TestHarmlessText(t *testing.T) {
	for name, row := range map[string]struct{ text, plain, coloured string }{
		"plain":                {"hello, wörld\t✓", "hello, wörld\t✓", "hello, wörld\t✓"},
		"colours":              {"\x1b[1;31mred\x1b[0m", "red", "\x1b[1;31mred\x1b[0m\x1b[0m"},
		"an open colour":       {"\x1b[38:5:1mx", "x", "\x1b[38:5:1mx\x1b[0m"},
		"clear the screen":     {"a\x1b[2J\x1b[Hb", "ab", "ab"},
		"a private sequence":   {"\x1b[?1049hx\x1b[>4;1mx", "xx", "xx"},
		"the window's title":   {"\x1b]0;evil\x07x\x1b]8;;http://e\x1b\\link", "xlink", "xlink"},
		"a device string":      {"\x1bP+q6e616d65\x1b\\x", "x", "x"},
		"a sequence that ends": {"x\x1b[31", "x", "x"},
		"escape alone":         {"x\x1b", "x", "x"},
		"reset":                {"\x1bcx", "x", "x"},
		"before other text":    {"\x1bü", "ü", "ü"},
		"carriage return":      {"safe\revil", "safeevil", "safeevil"},
		"backspace and bell":   {"a\b\ab", "ab", "ab"},
		"C1":                   {"a\u009b2Jb\u0085c", "a2Jbc", "a2Jbc"},
		"order of writing":     {"a\u202eb\u2066c\u200fd", "abcd", "abcd"},
		"invalid UTF-8":        {"a\xffb", "a\ufffdb", "a\ufffdb"},
		"an odd colour":        {"\x1b[31 mx", "x", "x"},
	} {
		if got := harmless(row.text, false); got != row.plain {
			t.Errorf("%s: %q, want %q", name, got, row.plain)
		}
		if got := harmless(row.text, true); got != row.coloured {
			t.Errorf("%s on a terminal: %q, want %q", name, got, row.coloured)
		}
	}
}

func FuzzHarmlessText(f *testing.F) {
	f.Add("\x1b[31mred\x1b]0;t\x07")
	f.Fuzz(func(t *testing.T, text string) {
		if got := harmless(text, false); strings.ContainsAny(got, "\x1b\r\b\x07\x00\u009b\u202e") {
			t.Errorf("%q became %q", text, got)
		}
	})
}

func TestProgressIsOneLineOnATerminalAndPlainElsewhere(t *testing.T) {
	reports := []publish.Progress{
		{Step: publish.StepHash, ItemsTotal: 2, BytesTotal: 10}, {Step: publish.StepHash, Items: 1, ItemsTotal: 2, Bytes: 5, BytesTotal: 10},
		{Step: publish.StepHash, Items: 2, ItemsTotal: 2, Bytes: 10, BytesTotal: 10},
		{Step: publish.StepCompress}, {Step: publish.StepUpload}, {Step: publish.StepUpload, ItemsTotal: 1, BytesTotal: 4},
		{Step: publish.StepUpload, Items: 1, ItemsTotal: 1, Bytes: 4, BytesTotal: 4}, {Step: publish.StepUpload, Items: 1, ItemsTotal: 1, Bytes: 4, BytesTotal: 4},
		{Step: publish.StepPublish, ItemsTotal: 1},
	}
	for live, want := range map[bool]string{
		false: "Read 2 files (10 B)\nUploaded 1 blob (4 B)\n",
		true: "\r\x1b[KReading 0 of 2 files, 0 B of 10 B\r\x1b[KReading 1 of 2 files, 5 B of 10 B\r\x1b[KRead 2 files (10 B)\n" +
			"\r\x1b[KUploading 0 of 1 blob, 0 B of 4 B\r\x1b[KUploaded 1 blob (4 B)\n",
	} {
		var out bytes.Buffer
		p := &progress{out: &out, live: live}
		for _, r := range reports {
			p.report(r)
		}
		p.done()
		if out.String() != want {
			t.Errorf("live %t: %q, want %q", live, out.String(), want)
		}
	}
}

func TestQuestions(t *testing.T) {
	for answer, want := range map[string]bool{"": true, "y": true, " YES ": true, "n": false, "what": false} {
		c := newDeployCommand()
		c.SetIn(strings.NewReader(answer + "\nnext\n"))
		c.SetErr(&bytes.Buffer{})
		if got, err := confirm(c, "Sure?"); err != nil || got != want {
			t.Errorf("%q: %t, %v", answer, got, err)
		}
		if next, err := ask(c, ""); err != nil || next != "next" {
			t.Errorf("the question after %q got %q, %v", answer, next, err)
		}
		if _, err := ask(c, ""); err == nil {
			t.Error("an answer came from an input that has ended")
		}
	}
}
