package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
)

// A described is what came back from the docs.
type described struct {
	url    *url.URL
	status int
	header http.Header
	body   []byte
}

// docsBefore serves the docs below a prefix, before a service that answers 418 to everything,
// and returns what asks for them.
func docsBefore(t *testing.T) (ask func(method, path string, header ...string) described) {
	t.Helper()
	service := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	server := httptest.NewServer(http.StripPrefix("/shop", withDocs(service)))
	t.Cleanup(server.Close)
	client := &http.Client{
		Transport:     &http.Transport{DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(method, path string, header ...string) described {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/shop"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return described{req.URL, res.StatusCode, res.Header, body}
	}
}

func TestTheContractIsServedAsItIs(t *testing.T) {
	want, err := os.ReadFile("../../shared/api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file := docsBefore(t)("GET", "/openapi.yaml")
	mediaType := file.header.Get("Content-Type")
	if file.status != http.StatusOK || mediaType != "application/yaml" || !bytes.Equal(file.body, want) {
		t.Errorf("answered %d %s with %d bytes, want the %d of openapi.yaml", file.status, mediaType, len(file.body), len(want))
	}
}

// The parts of the page are asked for as it names them, so all of this holds below the prefix.
func TestThePageLoadsItsPartsFromThisProgramOnly(t *testing.T) {
	ask := docsBefore(t)
	page := ask("GET", "/docs/")
	if policy := page.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none';") {
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
		reference := string(part[1])
		at, err := page.url.Parse(reference)
		if err != nil || strings.HasPrefix(reference, "/") {
			t.Errorf("the page loads %s: %v", reference, err)
			continue
		}
		file := ask("GET", strings.TrimPrefix(at.Path, "/shop"))
		if file.status != http.StatusOK || len(file.body) == 0 {
			t.Errorf("%s: answered %d with %d bytes", reference, file.status, len(file.body))
		}
		foreign := regexp.MustCompile(`url\(["']?(https?:)?//[^)]*`).Find(file.body)
		if strings.HasSuffix(reference, ".css") && foreign != nil {
			t.Errorf("%s loads %s", reference, foreign)
		}
	}
}

func TestThePageReadsTheContractAndAsksNobodyToCheckIt(t *testing.T) {
	script := docsBefore(t)("GET", "/docs/page.js")
	for _, setting := range []string{`url: "../openapi.yaml"`, "validatorUrl: null"} {
		if !bytes.Contains(script.body, []byte(setting)) {
			t.Errorf("the page has not %s", setting)
		}
	}
}

func TestTheDocsAreCompressedAndRevalidatedByTheirETag(t *testing.T) {
	ask := docsBefore(t)
	for _, path := range []string{"/openapi.yaml", "/docs/", "/docs/swagger-ui-bundle.js"} {
		etags := map[string]string{}
		bodies := map[string][]byte{}
		for accepted, encoding := range map[string]string{"br, gzip;q=0": "", "gzip, deflate, br": "gzip"} {
			file := ask("GET", path, "Accept-Encoding", accepted)
			etag := file.header.Get("ETag")
			if !regexp.MustCompile(`^"[!-~]+"$`).MatchString(etag) || file.header.Get("Content-Encoding") != encoding ||
				file.header.Get("Cache-Control") != "no-cache" || file.header.Get("Vary") != "Accept-Encoding" {
				t.Errorf("%s for %s: headers %v", path, accepted, file.header)
			}
			again := ask("GET", path, "Accept-Encoding", accepted, "If-None-Match", `"x", W/`+etag)
			if again.status != http.StatusNotModified || len(again.body) > 0 {
				t.Errorf("%s for %s: answered %d when its ETag is %s", path, accepted, again.status, etag)
			}
			etags[encoding], bodies[encoding] = etag, file.body
		}
		if etags[""] == etags["gzip"] {
			t.Errorf("%s has the ETag %s, compressed or not", path, etags[""])
		}
		z, err := gzip.NewReader(bytes.NewReader(bodies["gzip"]))
		if err != nil {
			t.Fatal(err)
		}
		if unpacked, err := io.ReadAll(z); err != nil || !bytes.Equal(unpacked, bodies[""]) {
			t.Errorf("%s: unpacks to %d bytes, want %d: %v", path, len(unpacked), len(bodies[""]), err)
		}
	}
}

func TestWhatIsNotTheDocsGoesToTheService(t *testing.T) {
	ask := docsBefore(t)
	const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	for _, tt := range []struct {
		method, path, accept string
		status               int
		location, allow      string
	}{
		{"GET", "/", "*/*", http.StatusTeapot, "", ""},
		{"GET", "/", "application/json", http.StatusTeapot, "", ""},
		{"GET", "/", browser, http.StatusFound, "docs/", ""}, // a reference that is right below the prefix, too
		{"POST", "/", browser, http.StatusTeapot, "", ""},
		{"GET", "/api/metrics/", browser, http.StatusTeapot, "", ""},
		{"GET", "/docsy", browser, http.StatusTeapot, "", ""},
		{"GET", "/docs", browser, http.StatusMovedPermanently, "docs/", ""},
		{"GET", "/docs/nothing", browser, http.StatusNotFound, "", ""},
		{"GET", "/favicon.ico", "image/*", http.StatusOK, "", ""},
		{"HEAD", "/docs/", "*/*", http.StatusOK, "", ""},
		{"POST", "/openapi.yaml", "*/*", http.StatusMethodNotAllowed, "", "GET, HEAD"},
		{"POST", "/docs/", "*/*", http.StatusMethodNotAllowed, "", "GET, HEAD"},
		{"DELETE", "/docs", "*/*", http.StatusMethodNotAllowed, "", "GET, HEAD"},
	} {
		got := ask(tt.method, tt.path, "Accept", tt.accept)
		if got.status != tt.status || got.header.Get("Location") != tt.location || got.header.Get("Allow") != tt.allow {
			t.Errorf("%s %s for %s: %d, Location %q, Allow %q; want %+v",
				tt.method, tt.path, tt.accept, got.status, got.header.Get("Location"), got.header.Get("Allow"), tt)
		}
	}
}
