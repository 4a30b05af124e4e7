package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// The page shows the operations on the first screen of a laptop, fits a telephone with everything
// open, and calls the API, all of it behind a reverse proxy that adds a prefix.
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
		chromedp.Navigate(proxy.URL+"/shop/"), // from where a browser is led to the page
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
	const last = "the test has seen enough"
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

// openBrowser starts Chromium without a window, or skips the test where there is none and need
// not be.
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
