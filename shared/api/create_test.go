package api

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"orders/shared/order"
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
	const id = order.ID("ORD00000000000000000000000000")
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
			reference := orderLocation(pathInHandler(t, sent), id)
			at, err := base.Parse(reference)
			if want := prefix + "/api/orders/" + string(id) + "/"; err != nil || cleanPath(at.EscapedPath()) != want {
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

// A pointer cuts the name of a field at 400 bytes, between characters. Entries of item_ids beyond the
// largest number are not checked.
func TestAViolationPointsAtItsPlace(t *testing.T) {
	const before, after = `{"user_id": "anna", "total_amount": 1, "item_ids": [`, `"tea"]`
	x, tea := strings.Repeat("x", 398), strings.Repeat(`"tea", `, 99)
	for body, want := range map[string]string{
		before + after + `, "a/b~c": 1}`:        "/a~1b~0c",
		before + after + `, "` + x + `yz": 1}`:  "/" + x + "yz",
		before + after + `, "` + x + `yzz": 1}`: "/" + x + "yz…",
		before + after + `, "` + x + `yé": 1}`:  "/" + x + "y…",
		before + tea + `" "]}`:                  "/item_ids/99",
		before + tea + `"tea", " "]}`:           "/item_ids",
		before + after + `, "user_id": 1}`:      "/user_id",
		`{"user_id": 1, "item_ids": ["x"]}`:     "/total_amount",
		"[]":                                    "",
	} {
		if _, all := parseBody([]byte(body)); len(all) != 1 || *all[0].Pointer != want {
			t.Errorf("%.420s: violations %+v, want one at %.420q", body, all, want)
		}
	}
}

// FuzzCreateBody checks properties of any body. An accepted body is JSON and obeys every rule of the
// domain, and its draft is the same after it was encoded and parsed again.
func FuzzCreateBody(f *testing.F) {
	for _, body := range []string{
		`{"user_id": 645, "order_id": "userTest23", "item_ids": [890, 563], "total_amount": 1650.78, "status": "Processing"}`,
		`{"user_id":"Ünïcødé","item_ids":["x",1,-2],"total_amount":"0.5"}`,
		`{"user_id":1,"\u0075ser_id":1,"item_ids":[],"total_amount":1e2}`,
		`{"user_id":5.0,"item_ids":[-757.0],"total_amount":1.0E7}`, `{"user_id":1,"item_ids":[1],"total_amount":1e-999999999}`,
		`{}`, `[]`, `null`, ``, ` `, `{"user_id":null,"x":{"y":[1,2,{"z":null}]}}`, "{\"user_id\":\"\xff\"}", `{"total_amount":-0,"status":"x"}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		draft, all := parseBody(body)
		if len(all) > 0 {
			if all.Error() == "" || len(all) > maxViolations {
				t.Fatalf("%d violations", len(all))
			}
			return
		}
		if !jsontext.Value(body).IsValid() {
			t.Fatalf("accepted, but not JSON: %q", body)
		}
		for _, text := range append([]string{draft.UserID}, draft.ItemIDs...) {
			if err := order.CheckText(text); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
		}
		if draft.TotalAmount < 0 || draft.TotalAmount > order.MaxAmount || len(draft.ItemIDs) < 1 || len(draft.ItemIDs) > order.MaxItems {
			t.Fatalf("draft %+v", draft)
		}
		again, all := parseBody(encode(t, draft))
		draft.SetFingerprint()
		again.SetFingerprint()
		if len(all) > 0 || again.Fingerprint != draft.Fingerprint {
			t.Fatalf("%+v was encoded and parsed as %+v, violations %v", draft, again, all)
		}
	})
}

func parseBody(body []byte) (order.Draft, violations) {
	p := &draftParser{json: new(jsontext.Decoder)}
	p.body.Write(body)
	return p.parse()
}

// encode returns the body of a create for the draft.
func encode(t *testing.T, d order.Draft) []byte {
	body := map[string]any{"user_id": d.UserID, "item_ids": d.ItemIDs, "total_amount": d.TotalAmount.String(), "status": d.InitialStatus.String()}
	if d.ClientReference != "" {
		body["order_id"] = d.ClientReference
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// FuzzCursor checks that only results of encodeCursor are accepted.
func FuzzCursor(f *testing.F) {
	for _, s := range []string{"", "x", "AAAAAAAAAA", encodeCursor("1"), encodeCursor("588306736133242880"), encodeCursor("1") + "=", "\n" + encodeCursor("1")} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if position, ok := decodeCursor(s); ok && (encodeCursor(position) != s || position == "") {
			t.Fatalf("%q is accepted as %q", s, position)
		}
		if position, ok := decodeCursor(encodeCursor(s)); s != "" && (!ok || position != s) {
			t.Fatalf("position %q comes back as %q, %v", s, position, ok)
		}
	})
}

// FuzzIdempotencyKey checks that only the quotes around a key make no difference to the id, and that
// an invalid key is refused.
func FuzzIdempotencyKey(f *testing.F) {
	for _, s := range []string{"", `"`, `""`, "k", `"k"`, "a,b", "a b", "é", "\x00", strings.Repeat("k", 255), strings.Repeat("k", 256)} {
		f.Add(s, s+"x")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		idA, violationA := idempotencyKey(http.Header{"Idempotency-Key": {a}})
		idB, violationB := idempotencyKey(http.Header{"Idempotency-Key": {b}})
		if (violationA == nil) == (idA == "") {
			t.Fatalf("%q: id %q, violation %v", a, idA, violationA)
		}
		if violationA != nil || violationB != nil {
			return
		}
		if _, err := order.ParseID(string(idA)); err != nil {
			t.Fatalf("%q: id %s", a, idA)
		}
		if (idA == idB) != (unquoted(a) == unquoted(b)) {
			t.Fatalf("%q and %q: ids %s and %s", a, b, idA, idB)
		}
	})
}

func unquoted(s string) string {
	if inner, ok := strings.CutPrefix(s, `"`); ok && strings.HasSuffix(inner, `"`) {
		return strings.TrimSuffix(inner, `"`)
	}
	return s
}
