package api_test

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/controlplane/api"
)

func TestTheDocsAreServedFromHereAlone(t *testing.T) {
	p := newPlane(t)
	page := p.anonymous().do("GET", "/docs", nil).is(http.StatusOK)
	links := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(string(page.body), -1)
	if len(links) < 3 {
		t.Fatalf("%s", page.body)
	}
	for _, link := range links {
		switch url := link[1]; {
		case strings.HasPrefix(url, "#"), strings.HasPrefix(url, "data:"), url == "/dashboard/":
		case strings.HasPrefix(url, "/"):
			p.anonymous().do("GET", url, nil).is(http.StatusOK)
		default:
			t.Errorf("%s leads elsewhere", url)
		}
	}
	// What the policy forbids would not show.
	if regexp.MustCompile(`<style|style=|<script>|\son[a-z]+=`).Match(page.body) {
		t.Errorf("inline: %s", page.body)
	}
}

func TestTheDocumentOfTheDashboardIsCurrent(t *testing.T) {
	want, err := api.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile("../../web/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != string(want) {
		t.Fatal("web/openapi.json is not what the API makes: run `make gen`")
	}
	p := newPlane(t)
	if served := p.anonymous().do("GET", "/openapi.json", nil).is(http.StatusOK); string(served.body) != string(want) {
		t.Fatal("the server's document is another one")
	}
}
