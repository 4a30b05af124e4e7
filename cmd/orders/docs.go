package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/swaggest/swgui/v5/static"

	"orders/shared/api"
)

// withDocs adds the contract, and a page to read and try it. The page is embedded and loads nothing
// from other hosts. All its references are relative, so that it works behind any prefix of a reverse
// proxy.
func withDocs(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, get := r.URL.Path, r.Method == http.MethodGet || r.Method == http.MethodHead
		switch {
		case path == "/" && get && wantsHTML(r.Header):
			redirect(w, "docs/", http.StatusFound)
		case path != "/openapi.yaml" && path != "/favicon.ico" && path != "/docs" && !strings.HasPrefix(path, "/docs/"):
			api.ServeHTTP(w, r)
		case !get:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed, only GET, HEAD", http.StatusMethodNotAllowed)
		case path == "/docs":
			redirect(w, "docs/", http.StatusMovedPermanently)
		default:
			serveDocs(w, r)
		}
	})
}

func wantsHTML(h http.Header) bool { return strings.Contains(h.Get("Accept"), "text/html") }

// redirect redirects to a relative reference, which http.Redirect would make absolute.
func redirect(w http.ResponseWriter, reference string, status int) {
	w.Header().Set("Location", reference)
	w.WriteHeader(status)
}

// contentSecurityPolicy makes the browser refuse inline scripts, and everything from other hosts. The
// styles of the page have images in data URLs.
const contentSecurityPolicy = "default-src 'none'; connect-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; " +
	"img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func serveDocs(w http.ResponseWriter, r *http.Request) {
	file, found := docs()[r.URL.Path]
	if !found {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	header.Set("Content-Type", file.mediaType)
	header.Set("Content-Security-Policy", contentSecurityPolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-cache") // clients keep it and revalidate it with the ETag
	header.Set("Vary", "Accept-Encoding")
	body, etag := file.body, file.etag
	if acceptsGzip(r.Header) {
		header.Set("Content-Encoding", "gzip")
		body, etag = file.gzipped, etag+"-gzip"
	}
	header.Set("ETag", `"`+etag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// acceptsGzip reports whether Accept-Encoding (RFC 9110, section 12.5.3) has gzip with a weight above 0.
func acceptsGzip(h http.Header) bool {
	for coding := range strings.SplitSeq(h.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			return strings.Trim(weight, " q=0.") != "" || weight == ""
		}
	}
	return false
}

// A docFile is one file of the page, plain and compressed.
type docFile struct {
	mediaType     string
	body, gzipped []byte
	etag          string // without quotes
}

//go:embed docs
var page embed.FS

// docs returns the files by path. It makes them at the first request, so that they do not delay the
// start of the service.
var docs = sync.OnceValue(func() map[string]docFile {
	files := map[string]docFile{"/openapi.yaml": newDocFile("openapi.yaml", api.OpenAPI)}
	for _, source := range []struct {
		folder fs.FS
		names  []string
	}{
		{page, []string{"docs/index.html", "docs/page.css", "docs/page.js"}},
		{static.FS, []string{"swagger-ui.css.gz", "swagger-ui-bundle.js.gz", "favicon-32x32.png"}},
	} {
		for _, name := range source.names {
			content, err := fs.ReadFile(source.folder, name)
			if err != nil {
				panic(err) // it is embedded
			}
			if plain, compressed := strings.CutSuffix(name, ".gz"); compressed {
				name, content = plain, unzip(content)
			}
			files["/docs/"+path.Base(name)] = newDocFile(name, content)
		}
	}
	files["/docs/"] = files["/docs/index.html"]
	files["/favicon.ico"] = files["/docs/favicon-32x32.png"]
	return files
})

var mediaTypes = map[string]string{
	".yaml": "application/yaml", ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
	".js": "text/javascript; charset=utf-8", ".png": "image/png",
}

func newDocFile(name string, body []byte) docFile {
	var gzipped bytes.Buffer
	z := gzip.NewWriter(&gzipped)
	_, _ = z.Write(body) // into memory
	_ = z.Close()
	sum := sha256.Sum256(body)
	return docFile{mediaTypes[path.Ext(name)], body, gzipped.Bytes(), hex.EncodeToString(sum[:8])}
}

func unzip(content []byte) []byte {
	z, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		panic(err) // it is embedded
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		panic(err) // it is embedded
	}
	return plain
}
