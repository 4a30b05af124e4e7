package api

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"orders/shared/order"
)

const anID = order.ID("ORD00000000000000000000000000")

// createPaths are paths by which a create can be sent.
var createPaths = []string{
	"/api/orders/create/", "/api/orders/create", "/api/orders/", "/api/orders",
	"//api//orders//create//", "/api/./orders/./create/.", "/api/orders/../orders/create/", "/x/../api/orders/create/",
	"/orders/../api/orders/create/", "/orders/orders/../../api/orders/create/", "/./orders/../api/orders/create/",
	"/api/orders/create/x/..", "/api/orders/create/./", "/../api/orders/create/", "/api/orders/a/b/../../create",
	"/api/orders/../../api/orders/create/", "/a%2Fb/../api/orders/create/", "/a/../api/%6frders/create/", "/a//../api/orders/create/",
}

// A client resolves a reference against the path that it has sent, including a prefix that a proxy
// removes.
func TestLocationLeadsToTheOrderFromAnyPathOfItsCreate(t *testing.T) {
	paths := createPaths
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		paths = append(paths, addSegments(random, createPaths[random.IntN(4)]))
	}
	for _, sent := range paths {
		if pathInHandler(t, sent) == "" {
			t.Fatalf("%s is not a path of a create", sent)
		}
		for _, prefix := range []string{"", "/shop/v1"} {
			if strings.HasPrefix(sent, "/../") && prefix != "" {
				continue // the path itself leads out of the prefix
			}
			base, err := url.Parse("http://localhost" + prefix + sent)
			if err != nil {
				t.Fatal(err)
			}
			reference := orderLocation(pathInHandler(t, sent), anID)
			at, err := base.Parse(reference)
			if want := prefix + "/api/orders/" + string(anID) + "/"; err != nil || cleanPath(at.EscapedPath()) != want {
				t.Fatalf("from %s, %s leads to %v, %v; want %s", base, reference, at, err, want)
			}
		}
	}
}

// addSegments adds segments to a path that do not change its clean path.
func addSegments(random *rand.Rand, path string) string {
	var b strings.Builder
	for segment := range strings.SplitAfterSeq(path, "/") {
		b.WriteString(segment)
		if !strings.HasSuffix(segment, "/") {
			break
		}
		switch random.IntN(8) {
		case 0:
			b.WriteString("./")
		case 1:
			b.WriteString("x/../")
		case 2:
			b.WriteString("orders/y/../../")
		case 3:
			b.WriteString("api/orders/../.././")
		case 4:
			b.WriteString("/")
		}
	}
	return b.String()
}

// pathInHandler returns the original path that a handler behind withCleanPath sees, "" if the clean
// path is not that of a create.
func pathInHandler(t *testing.T, sent string) (path string) {
	t.Helper()
	handler := withCleanPath(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if clean := strings.TrimSuffix(r.URL.Path, "/"); clean == "/api/orders" || clean == "/api/orders/create" {
			path = originalPath(r)
		}
	}))
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, sent, nil))
	return path
}
