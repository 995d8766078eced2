package publish

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

func TestHintsOfAPage(t *testing.T) {
	const a = "</a.js>; rel=modulepreload"
	link := `<link rel="modulepreload" href="/a.js">`
	for name, tt := range map[string]struct {
		page string
		want []string
	}{
		"what Vite writes": {`<!doctype html><html lang="en"><head><meta charset="UTF-8" /><title>x</title>
			<script type="module" crossorigin src="/assets/index-1.js"></script>
			<link rel="modulepreload" crossorigin href="/assets/vendor-2.js">
			<link rel="stylesheet" crossorigin href="/assets/index-3.css"></head><body></body></html>`, []string{"</assets/vendor-2.js>; rel=modulepreload; crossorigin"}},
		"what Next writes": {`<!DOCTYPE html><html><head><link rel="preload" href="/_next/static/media/a.woff2" as="font" crossorigin="" type="font/woff2"/><link rel="preload" as="script" fetchPriority="low" href="/_next/b.js"/>`,
			[]string{`</_next/static/media/a.woff2>; rel=preload; as="font"; type="font/woff2"; crossorigin`, `</_next/b.js>; rel=preload; as="script"; fetchpriority="low"`}},
		"no head and no quotes":        {"<LINK REL=ModulePreload HREF=/a.js>", []string{a}},
		"credentials":                  {`<link rel=modulepreload href=/a.js crossorigin=Use-Credentials>`, []string{a + "; crossorigin=use-credentials"}},
		"relative":                     {`<link rel=modulepreload href="./a.js?v=1#f">`, []string{"<./a.js?v=1>; rel=modulepreload"}},
		"encoded and escaped":          {`<link rel=modulepreload href=" /ä b.js?a=1&amp;b=2 ">`, []string{"</%C3%A4%20b.js?a=1&b=2>; rel=modulepreload"}},
		"twice":                        {link + link, []string{a}},
		"the first attribute":          {`<link rel=modulepreload href=/a.js href=/b.js>`, []string{a}},
		"preload as nothing":           {`<link rel=preload href=/a.js>`, nil},
		"another host":                 {`<link rel=modulepreload href="https://cdn.example/a.js"><link rel=modulepreload href="//cdn.example/a.js"><link rel=modulepreload href="/\cdn.example/a.js">`, nil},
		"a header more":                {"<link rel=modulepreload href='/a.js&#13;&#10;X: y'><link rel=preload href=/a as='x&#34;; y'>", nil},
		"depends on the screen":        {`<link rel=preload as=image href=/a.png imagesrcset="/b.png 2x">`, nil},
		"disabled":                     {`<link rel=modulepreload disabled href=/a.js>`, nil},
		"in a comment":                 {"<!-- " + link + " -->", nil},
		"in a script":                  {"<script>'" + link + "'</script>", nil},
		"in a template":                {"<template>" + link + "</template><noscript>" + link + "</noscript>", nil},
		"behind a template":            {"<template><div></div></template>" + link, []string{a}},
		"in the body":                  {"<head></head>" + link, nil},
		"in a body that nobody opened": {"<title>x</title><p>" + link, nil},
		"behind a base":                {"<base href=/x/>" + link, nil},
		"cut within":                   {link + `<link rel="modulepreload" href="/b`, []string{a}},
		"not HTML":                     {"\x00\xff<<<<", nil},
		"nothing":                      {"", nil},
	} {
		if got := hintsOf([]byte(tt.page)); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	many := ""
	for i := range site.MaxHints + 5 {
		many += fmt.Sprintf("<link rel=modulepreload href=/%d.js>", i)
	}
	if got := hintsOf([]byte(many)); len(got) != site.MaxHints {
		t.Errorf("%d hints of a page with more than there may be", len(got))
	}
}

func TestHintsGoIntoTheManifest(t *testing.T) {
	p := newPlane(t)
	link := "<link rel=modulepreload href=/a.js>"
	dir := tree(t, map[string]string{
		"index.html": link, "text.txt": link, "a.js": "1",
		"late.html":  "<title>" + strings.Repeat(" ", maxHead-len("<title></title>")-len(link)) + "</title>" + link,
		"later.html": "<title>" + strings.Repeat(" ", maxHead-len("<title></title>")-len(link)+1) + "</title>" + link,
		"large.html": link + noise(site.ChunkSize+1),
	})
	if _, err := p.run(t, dir, nil); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/index.html": 1, "/text.txt": 0, "/a.js": 0, "/late.html": 1, "/later.html": 0, "/large.html": 1} {
		f, ok := p.deployed().Lookup(path)
		if !ok || len(f.Hints()) != want {
			t.Errorf("%s: %q", path, f.Hints())
		}
	}
}

func FuzzHintsOf(f *testing.F) {
	f.Add([]byte(`<head><link rel="preload" as="font" href="/a.woff2" crossorigin></head>`))
	f.Fuzz(func(t *testing.T, page []byte) {
		hints := hintsOf(page)
		if _, err := site.NewManifest(site.Meta{}, []site.FileEntry{{Path: "/a", Hints: hints}}); err != nil {
			t.Fatal(err)
		}
	})
}
