package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
)

// docsBefore serves the docs below a prefix, before a service that answers 418 to everything,
// and returns what asks for them.
func docsBefore(t *testing.T) (ask func(method, path string, header ...string) (*http.Response, []byte)) {
	t.Helper()
	service := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	server := httptest.NewServer(http.StripPrefix("/shop", withDocs(service)))
	t.Cleanup(server.Close)
	client := &http.Client{
		Transport:     &http.Transport{DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(method, path string, header ...string) (*http.Response, []byte) {
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
		return res, body
	}
}

func TestTheContractIsServedAsItIs(t *testing.T) {
	want, err := os.ReadFile("../../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	res, body := docsBefore(t)("GET", "/openapi.yaml")
	mediaType := res.Header.Get("Content-Type")
	if res.StatusCode != http.StatusOK || mediaType != "application/yaml" || !bytes.Equal(body, want) {
		t.Errorf("answered %s %s with %d bytes, want the %d of openapi.yaml", res.Status, mediaType, len(body), len(want))
	}
}

// The parts of the page are asked for as it names them, so all of this holds below the prefix.
func TestThePageLoadsItsPartsFromThisProgramOnly(t *testing.T) {
	ask := docsBefore(t)
	res, page := ask("GET", "/docs/")
	if policy := res.Header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none';") {
		t.Errorf("the browser is told %q", policy)
	}
	if other := regexp.MustCompile(`(https?:)?//\w+[.:]\w+`).Find(page); other != nil {
		t.Errorf("the page names another host: %s", other)
	}
	parts := regexp.MustCompile(`<(?:script|img|link)\b[^>]*\b(?:src|href)="([^"]*)"`).FindAllSubmatch(page, -1)
	if len(parts) < 3 {
		t.Errorf("the page has %d parts, want its scripts and styles", len(parts))
	}
	for _, part := range parts {
		reference := string(part[1])
		at, err := res.Request.URL.Parse(reference)
		if err != nil || strings.HasPrefix(reference, "/") {
			t.Errorf("the page loads %s: %v", reference, err)
			continue
		}
		file, body := ask("GET", strings.TrimPrefix(at.Path, "/shop"))
		if file.StatusCode != http.StatusOK || len(body) == 0 {
			t.Errorf("%s: answered %s with %d bytes", reference, file.Status, len(body))
		}
		foreign := regexp.MustCompile(`url\(["']?(https?:)?//[^)]*`).Find(body)
		if strings.HasSuffix(reference, ".css") && foreign != nil {
			t.Errorf("%s loads %s", reference, foreign)
		}
	}
}

func TestThePageReadsTheContractAndAsksNobodyToCheckIt(t *testing.T) {
	_, script := docsBefore(t)("GET", "/docs/page.js")
	for _, setting := range []string{`url: "../openapi.yaml"`, "validatorUrl: null"} {
		if !bytes.Contains(script, []byte(setting)) {
			t.Errorf("the page has not %s", setting)
		}
	}
}

func TestTheDocsAreCompressedAndRevalidatedByTheirETag(t *testing.T) {
	ask := docsBefore(t)
	for _, path := range []string{"/openapi.yaml", "/docs/", "/docs/swagger-ui-bundle.js"} {
		plain, body := ask("GET", path, "Accept-Encoding", "br, gzip;q=0")
		zipped, compressed := ask("GET", path, "Accept-Encoding", "gzip, deflate, br")
		for _, res := range []*http.Response{plain, zipped} {
			etag := res.Header.Get("ETag")
			if !regexp.MustCompile(`^"[!-~]+"$`).MatchString(etag) || res.Header.Get("Cache-Control") != "no-cache" || res.Header.Get("Vary") != "Accept-Encoding" {
				t.Errorf("%s: headers %v", path, res.Header)
			}
			again, rest := ask("GET", path, "Accept-Encoding", res.Request.Header.Get("Accept-Encoding"), "If-None-Match", `"x", W/`+etag)
			if again.StatusCode != http.StatusNotModified || len(rest) > 0 {
				t.Errorf("%s: answered %s when its ETag is %s", path, again.Status, etag)
			}
		}
		if plain.Header.Get("Content-Encoding") != "" || zipped.Header.Get("Content-Encoding") != "gzip" || plain.Header.Get("ETag") == zipped.Header.Get("ETag") {
			t.Errorf("%s: headers %v and %v", path, plain.Header, zipped.Header)
		}
		z, err := gzip.NewReader(bytes.NewReader(compressed))
		if err != nil {
			t.Fatal(err)
		}
		if unpacked, err := io.ReadAll(z); err != nil || !bytes.Equal(unpacked, body) {
			t.Errorf("%s: unpacks to %d bytes, want %d: %v", path, len(unpacked), len(body), err)
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
		res, _ := ask(tt.method, tt.path, "Accept", tt.accept)
		if res.StatusCode != tt.status || res.Header.Get("Location") != tt.location || res.Header.Get("Allow") != tt.allow {
			t.Errorf("%s %s for %s: %s, Location %q, Allow %q; want %+v",
				tt.method, tt.path, tt.accept, res.Status, res.Header.Get("Location"), res.Header.Get("Allow"), tt)
		}
	}
}
