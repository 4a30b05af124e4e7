package api_test

import (
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"
)

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
	s := newService(failing{}, slog.LevelInfo)
	for _, sent := range paths {
		res, _ := s.send(newRequest(http.MethodPost, sent))
		for _, prefix := range []string{"", "/shop/v1"} {
			if strings.HasPrefix(sent, "/../") && prefix != "" {
				continue // the path itself leads out of the prefix
			}
			base, err := url.Parse("http://localhost" + prefix + sent)
			if err != nil {
				t.Fatal(err)
			}
			at, err := base.Parse(res.Header().Get("Location"))
			if want := prefix + "/api/orders/" + string(anID); err != nil || res.Code != 201 || path.Clean(at.EscapedPath()) != want {
				t.Fatalf("from %s, %v leads to %v, %v; want %s", base, res.Header(), at, err, want)
			}
		}
	}
}

// addSegments adds segments to a path that do not change its clean path.
func addSegments(random *rand.Rand, sent string) string {
	var b strings.Builder
	for segment := range strings.SplitAfterSeq(sent, "/") {
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
