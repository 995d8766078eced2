package site_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

func TestParseConfig(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       site.Config
	}{
		{"empty object", `{}`, site.Config{}},
		{"byte order mark", "\ufeff{}", site.Config{}},
		{"all keys", `{"htmlHandling":"drop-trailing-slash","notFound":"single-page-application","immutable":["assets/**","/fonts/*.woff2"]}`,
			site.Config{HTMLHandling: site.HTMLDrop, NotFound: site.NotFoundSPA, Immutable: []string{"assets/**", "fonts/*.woff2"}}},
		{"strict rules", `{"strictRules":true}`, site.Config{StrictRules: boolean(true)}},
		{"lenient rules", `{"strictRules":false}`, site.Config{StrictRules: boolean(false)}},
		{"early hints", `{"earlyHints":true}`, site.Config{EarlyHints: boolean(true)}},
		{"no globs", `{"immutable":[]}`, site.Config{Immutable: []string{}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := site.ParseConfig([]byte(tt.text))
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Fatalf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

func boolean(b bool) *bool { return &b }

func TestParseConfigErrorsNameTheFault(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"unknown key", `{"notfound":"none"}`, `unknown key "notfound"`},
		{"unknown mode", `{"notFound":"404"}`, `notFound: "404" is not one of auto, 404-page`},
		{"empty mode", `{"htmlHandling":""}`, `htmlHandling: "" is not one of`},
		{"mode of another type", `{"htmlHandling":true}`, `htmlHandling: true is not one of`},
		{"globs of another type", `{"immutable":"assets/**"}`, "immutable: must be a list"},
		{"null globs", `{"immutable":null}`, "immutable: must be a list"},
		{"strict as a word", `{"strictRules":"yes"}`, "strictRules: must be true or false"},
		{"strict as null", `{"strictRules":null}`, "strictRules: must be true or false"},
		{"hints as a word", `{"earlyHints":"yes"}`, "earlyHints: must be true or false"},
		{"hints as null", `{"earlyHints":null}`, "earlyHints: must be true or false"},
		{"bad glob", `{"immutable":["a[b"]}`, `"a[b" is not a glob`},
		{"open brace", `{"immutable":["a{b"]}`, `"a{b" is not a glob`},
		{"empty glob", `{"immutable":["/"]}`, `"/" is not a glob`},
		{"a list", `[]`, "must be a JSON object"},
		{"null", `null`, "must be a JSON object"},
		{"empty", ``, "line 1"},
		{"syntax", "{\n\"notFound\": none\n}", "line 2"},
		{"too long", `{` + strings.Repeat(" ", site.MaxConfigSize) + `}`, "the most is"},
		{"two values", `{} {}`, "line 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := site.ParseConfig([]byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "mini-vercel.json: ") {
				t.Fatalf("got %v, want it to say %q", err, tt.want)
			}
		})
	}
}
