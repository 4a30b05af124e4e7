package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"orders/shared/api"
)

// A docsResponse is a response of the docs.
type docsResponse struct {
	url    *url.URL
	status int
	header http.Header
	body   []byte
}

// serveDocsBehindPrefix serves the docs in front of a service whose every response is a 418, behind a
// proxy that removes a prefix. It returns a client.
func serveDocsBehindPrefix(t *testing.T) (send func(method, path string, header ...string) docsResponse) {
	t.Helper()
	service := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	server := httptest.NewServer(http.StripPrefix("/shop", withDocs(service)))
	t.Cleanup(server.Close)
	client := &http.Client{
		Transport:     &http.Transport{DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(method, path string, header ...string) docsResponse {
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
		return docsResponse{req.URL, res.StatusCode, res.Header, body}
	}
}

// The test resolves the references of the page, so that they must also work behind the prefix.
func TestThePageLoadsItsPartsFromThisProgramOnly(t *testing.T) {
	send := serveDocsBehindPrefix(t)
	page := send("GET", "/docs/")
	if policy := page.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none';") {
		t.Errorf("the policy is %q", policy)
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
		file := send("GET", strings.TrimPrefix(at.Path, "/shop"))
		if file.status != http.StatusOK || len(file.body) == 0 {
			t.Errorf("%s: %d with %d bytes", reference, file.status, len(file.body))
		}
		foreign := regexp.MustCompile(`url\(["']?(https?:)?//[^)]*`).Find(file.body)
		if strings.HasSuffix(reference, ".css") && foreign != nil {
			t.Errorf("%s loads %s", reference, foreign)
		}
	}
}

func TestTheDocsAreCompressedAndRevalidatedByTheirETag(t *testing.T) {
	send := serveDocsBehindPrefix(t)
	for path, mediaType := range map[string]string{
		"/openapi.yaml": "application/yaml", "/docs/": "text/html; charset=utf-8", "/docs/swagger-ui-bundle.js": "text/javascript; charset=utf-8",
	} {
		etags := map[string]string{}
		bodies := map[string][]byte{}
		for accepted, encoding := range map[string]string{"br, gzip;q=0": "", "gzip, deflate, br": "gzip"} {
			file := send("GET", path, "Accept-Encoding", accepted)
			etag := file.header.Get("ETag")
			if !regexp.MustCompile(`^"[!-~]+"$`).MatchString(etag) || file.header.Get("Content-Encoding") != encoding ||
				file.header.Get("Content-Type") != mediaType || file.header.Get("Cache-Control") != "no-cache" || file.header.Get("Vary") != "Accept-Encoding" {
				t.Errorf("%s for %s: headers %v", path, accepted, file.header)
			}
			again := send("GET", path, "Accept-Encoding", accepted, "If-None-Match", `"x", W/`+etag)
			if again.status != http.StatusNotModified || len(again.body) > 0 {
				t.Errorf("%s for %s: %d for its ETag %s", path, accepted, again.status, etag)
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
		if path == "/openapi.yaml" && !bytes.Equal(bodies[""], api.OpenAPI) {
			t.Error("it is not the contract")
		}
	}
}

func TestWhatIsNotTheDocsGoesToTheService(t *testing.T) {
	send := serveDocsBehindPrefix(t)
	const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	for _, tt := range []struct {
		method, path, accept string
		status               int
		location, allow      string
	}{
		{"GET", "/", "*/*", http.StatusTeapot, "", ""},
		{"GET", "/", "application/json", http.StatusTeapot, "", ""},
		{"GET", "/", browser, http.StatusFound, "docs/", ""}, // a reference that works behind the prefix
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
		got := send(tt.method, tt.path, "Accept", tt.accept)
		if got.status != tt.status || got.header.Get("Location") != tt.location || got.header.Get("Allow") != tt.allow {
			t.Errorf("%s %s for %s: %d, Location %q, Allow %q; want %+v",
				tt.method, tt.path, tt.accept, got.status, got.header.Get("Location"), got.header.Get("Allow"), tt)
		}
	}
}

// Behind a reverse proxy with a prefix, the page shows the operations on the first screen of a laptop,
// fits the width of a phone with everything open, and calls the API.
func TestTheDocsPageWorksInABrowser(t *testing.T) {
	var called atomic.Bool
	service := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		called.Store(r.URL.Path == "/api/metrics/")
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"total_orders": 0}`))
	})
	proxy := httptest.NewServer(http.StripPrefix("/shop", withDocs(service)))
	defer proxy.Close()
	browser := openBrowser(t)
	console := chromedp.Console(browser)

	const (
		operations = `.opblock-summary-control`
		metrics    = `#operations-operation-getMetrics `
	)
	do(browser, t,
		chromedp.EmulateViewport(1440, 900),
		chromedp.Navigate(proxy.URL+"/shop/"), // redirects to the page
		chromedp.WaitVisible(operations),
	)
	if end := number(browser, t, `document.querySelector('`+operations+`').getBoundingClientRect().bottom`); end > 450 {
		t.Errorf("the first operation ends at %g px of 900", end)
	}
	do(browser, t,
		chromedp.EmulateViewport(360, 740),
		chromedp.Evaluate[chromedp.Void](`document.querySelectorAll('`+operations+`, .models-control').forEach(b => b.click())`),
		chromedp.WaitVisible(metrics+`.execute`),
	)
	if width := number(browser, t, `document.documentElement.scrollWidth`); width > 360 {
		t.Errorf("the page is %g px wide on a screen of 360 px", width)
	}
	const last = "the test ends here"
	do(browser, t,
		chromedp.Click(metrics+`.execute`),
		chromedp.WaitVisible(metrics+`.live-responses-table`),
		chromedp.Evaluate[chromedp.Void](`console.log("`+last+`")`),
	)
	if !called.Load() {
		t.Error("the page has not called the API")
	}
	for message, err := range console {
		if err != nil {
			t.Fatal(err)
		}
		if message.Text == last {
			break
		}
		t.Errorf("the browser's console has %s", message)
	}
}

// openBrowser starts Chromium without a window. Without Chromium the test is skipped, but fails if CI
// is set.
func openBrowser(t *testing.T) context.Context {
	t.Helper()
	if _, err := exec.LookPath("chromium"); err != nil && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	allocator, stop := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox)...)
	t.Cleanup(stop)
	browser, closeBrowser := chromedp.NewContext(allocator)
	t.Cleanup(closeBrowser)
	browser, cancel := context.WithTimeout(browser, 2*time.Minute)
	t.Cleanup(cancel)
	return browser
}

func do(browser context.Context, t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(browser, steps...); err != nil {
		t.Fatal(err)
	}
}

func number(browser context.Context, t *testing.T, expression string) float64 {
	t.Helper()
	n, err := chromedp.Run(browser, chromedp.Evaluate[float64](expression))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
