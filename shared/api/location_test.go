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

// uncleanCreates are paths that a create may come by.
var uncleanCreates = []string{
	"/api/orders/create/", "/api/orders/create", "/api/orders/", "/api/orders",
	"//api//orders//create//", "/api/./orders/./create/.", "/api/orders/../orders/create/", "/x/../api/orders/create/",
	"/orders/../api/orders/create/", "/orders/orders/../../api/orders/create/", "/./orders/../api/orders/create/",
	"/api/orders/create/x/..", "/api/orders/create/./", "/../api/orders/create/", "/api/orders/a/b/../../create",
	"/api/orders/../../api/orders/create/", "/a%2Fb/../api/orders/create/", "/a/../api/%6frders/create/", "/a//../api/orders/create/",
}

// A client resolves a reference against the path as it was sent, below whatever prefix a proxy has
// taken from it.
func TestTheAddressOfAnOrderLeadsToItFromAnyPathOfItsCreate(t *testing.T) {
	paths := uncleanCreates
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		paths = append(paths, soil(random, uncleanCreates[random.IntN(4)]))
	}
	for _, sent := range paths {
		if served(t, sent) == "" {
			t.Fatalf("%s is no path of a create", sent)
		}
		for _, prefix := range []string{"", "/shop/v1"} {
			if strings.HasPrefix(sent, "/../") && prefix != "" {
				continue // it leads out of the prefix by itself
			}
			base, err := url.Parse("http://localhost" + prefix + sent)
			if err != nil {
				t.Fatal(err)
			}
			reference := orderReference(served(t, sent), anID)
			at, err := base.Parse(reference)
			if want := prefix + "/api/orders/" + string(anID) + "/"; err != nil || cleaned(at.EscapedPath()) != want {
				t.Fatalf("from %s, %s leads to %v, %v; want %s", base, reference, at, err, want)
			}
		}
	}
}

// soil puts segments into a path that change nothing of what the service takes it for.
func soil(random *rand.Rand, path string) string {
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

// served is the path by which a handler behind cleanPath knows that a request was sent, "" when
// it is not taken for a create.
func served(t *testing.T, sent string) (path string) {
	t.Helper()
	handler := cleanPath(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if clean := strings.TrimSuffix(r.URL.Path, "/"); clean == "/api/orders" || clean == "/api/orders/create" {
			path = sentPath(r)
		}
	}))
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, sent, nil))
	return path
}
