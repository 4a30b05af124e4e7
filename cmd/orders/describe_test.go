package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
)

// A described is what came back from the description.
type described struct {
	path   string // after a redirect
	status int
	header http.Header
	body   []byte
}

// describing serves the description before a service that answers 404 to everything.
func describing(t *testing.T) (get func(path string) described) {
	t.Helper()
	server := httptest.NewServer(withDescription(http.NotFoundHandler()))
	t.Cleanup(server.Close)
	return func(path string) described {
		t.Helper()
		res, err := server.Client().Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return described{res.Request.URL.Path, res.StatusCode, res.Header, body}
	}
}

func TestTheContractIsServedAsItIs(t *testing.T) {
	want, err := os.ReadFile("../../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file := describing(t)("/openapi.yaml")
	mediaType := file.header.Get("Content-Type")
	if file.status != http.StatusOK || mediaType != "application/yaml" || !bytes.Equal(file.body, want) {
		t.Errorf("answered %d %s with %d bytes, want the %d of openapi.yaml", file.status, mediaType, len(file.body), len(want))
	}
}

func TestThePageLoadsItsPartsFromThisProgramOnly(t *testing.T) {
	get := describing(t)
	page := get("/docs")
	if page.status != http.StatusOK || page.path != "/docs/" {
		t.Fatalf("answered %d at %s", page.status, page.path)
	}
	if policy := page.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'self';") {
		t.Errorf("the browser is told %q", policy)
	}
	if other := regexp.MustCompile(`(https?:)?//\w+[.:]\w+`).Find(page.body); other != nil {
		t.Errorf("the page names another host: %s", other)
	}
	parts := regexp.MustCompile(`<(?:script|img|link)\b[^>]*\b(?:src|href)="([^"]*)"`).FindAllSubmatch(page.body, -1)
	if len(parts) < 3 {
		t.Errorf("the page has %d parts, want its scripts and styles", len(parts))
	}
	for _, part := range parts {
		address := string(part[1])
		if !strings.HasPrefix(address, "/docs/") {
			t.Errorf("the page loads %s", address)
			continue
		}
		file := get(address)
		if file.status != http.StatusOK || len(file.body) == 0 {
			t.Errorf("%s: answered %d with %d bytes", address, file.status, len(file.body))
		}
		foreign := regexp.MustCompile(`url\(["']?(https?:)?//[^)]*`).Find(file.body)
		if strings.HasSuffix(address, ".css") && foreign != nil {
			t.Errorf("%s loads %s", address, foreign)
		}
	}
}

func TestThePageReadsTheContractAndAsksNobodyToCheckIt(t *testing.T) {
	page := describing(t)("/docs/")
	for _, setting := range []string{`"swaggerJsonUrl":"/openapi.yaml"`, "validatorUrl: null"} {
		if !bytes.Contains(page.body, []byte(setting)) {
			t.Errorf("the page has not %s", setting)
		}
	}
}

func TestWhatIsNotTheDescriptionGoesToTheService(t *testing.T) {
	service := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	handler := withDescription(service)
	for _, tt := range []struct{ method, path string }{
		{"GET", "/"}, {"GET", "/api/metrics/"}, {"GET", "/docsy"}, {"POST", "/openapi.yaml"}, {"DELETE", "/docs/"},
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, nil))
		if w.Code != http.StatusTeapot {
			t.Errorf("%s %s is answered %d by the description", tt.method, tt.path, w.Code)
		}
	}
}
