package main

import (
	"net/http"
	"strings"

	"github.com/swaggest/swgui/v5emb"

	"orders"
)

// withDescription adds the contract and a page to read it and try it on. The page
// is part of the program and loads nothing from elsewhere.
func withDescription(api http.Handler) http.Handler {
	page := v5emb.New("Orders API", "/openapi.yaml", "/docs/")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case path == "/openapi.yaml":
			w.Header().Set("Content-Type", "application/yaml")
			w.Header().Set("X-Content-Type-Options", "nosniff")
			_, _ = w.Write(orders.OpenAPI)
		case path == "/docs":
			http.Redirect(w, r, "/docs/", http.StatusMovedPermanently)
		case strings.HasPrefix(path, "/docs/"):
			page.ServeHTTP(w, r)
		default:
			api.ServeHTTP(w, r)
		}
	})
}
