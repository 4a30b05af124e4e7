package main

import (
	"net/http"
	"strings"

	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5emb"

	"orders"
)

// withDescription adds the contract and a page to read it and try it on. The page
// is part of the program and loads nothing from elsewhere.
func withDescription(api http.Handler) http.Handler {
	page := describingPage()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			api.ServeHTTP(w, r)
		case path == "/openapi.yaml":
			w.Header().Set("Content-Type", "application/yaml")
			w.Header().Set("X-Content-Type-Options", "nosniff")
			_, _ = w.Write(orders.OpenAPI)
		case path == "/docs":
			http.Redirect(w, r, "/docs/", http.StatusMovedPermanently)
		case strings.HasPrefix(path, "/docs/"):
			w.Header().Set("Content-Security-Policy", onlyFromHere)
			w.Header().Set("X-Content-Type-Options", "nosniff")
			page.ServeHTTP(w, r)
		default:
			api.ServeHTTP(w, r)
		}
	})
}

// onlyFromHere makes the browser refuse whatever the page might want from another
// host. The page has scripts and styles of its own in it, and pictures in its styles.
const onlyFromHere = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; " +
	"img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func describingPage() http.Handler {
	return v5emb.NewHandlerWithConfig(swgui.Config{
		Title:       "Orders API",
		SwaggerJSON: "/openapi.yaml",
		BasePath:    "/docs/",
		SettingsUI: map[string]string{
			"validatorUrl":             "null", // no badge that would ask a host to check the file
			"tryItOutEnabled":          "true",
			"displayRequestDuration":   "true",
			"defaultModelsExpandDepth": "0", // schemas are listed, closed
		},
	})
}
