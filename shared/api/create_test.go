package api

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"net/http"
	"strings"
	"testing"

	"orders/shared/order"
)

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

// accepted reports whether a body has no violations. Then it is JSON; otherwise each violation has a
// text, and there are not too many.
func accepted(t *testing.T, body []byte, all violations) bool {
	t.Helper()
	if len(all) == 0 && !jsontext.Value(body).IsValid() {
		t.Fatalf("accepted, but not JSON: %q", body)
	}
	if len(all) > 0 && (all.Error() == "" || len(all) > maxViolations) {
		t.Fatalf("%d violations", len(all))
	}
	return len(all) == 0
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
		if !accepted(t, body, all) {
			return
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

// FuzzTransitionBody checks the same of the bodies of transitions.
func FuzzTransitionBody(f *testing.F) {
	for _, body := range []string{
		`{"reason": "no stock", "version": 2}`, `{"version":2.0}`, `{"version":1000000000}`, `{"version":1000000001}`, `{"version":1e0}`, `{"version":-0}`,
		`{"reason":"Ünïcødé 🛒"}`, `{"reason":" x"}`, `{"reason":"a\u0000b"}`, `{"reason":"a","reason":"b"}`, `{"version":1,"\u0076ersion":1}`,
		`{"reason":"` + strings.Repeat("🛒", order.MaxReasonLength) + `"}`, `{"reason":"` + strings.Repeat("x", order.MaxReasonLength+1) + `"}`,
		`{"x":` + strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001) + `}`, `{"version":{"version":1},"reason":["x"]}`,
		`{}`, `[]`, `null`, ``, `{"user_id":1}`, "{\"reason\":\"\xff\"}",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, all := parseTransition(body)
		if !accepted(t, body, all) {
			return
		}
		members := map[string]any{}
		if r.Reason != "" {
			members["reason"] = r.Reason
		}
		if r.Version != 0 {
			members["version"] = r.Version
		}
		text, err := json.Marshal(members)
		again, all := parseTransition(text)
		if err != nil || len(all) > 0 || again != r {
			t.Fatalf("%+v was encoded as %s, %v, and parsed as %+v, violations %v", r, text, err, again, all)
		}
		if r.Version < 0 || r.Version > maxVersion || r.Reason != "" && order.CheckReason(r.Reason) != nil {
			t.Fatalf("request %+v", r)
		}
	})
}

func parseTransition(body []byte) (order.TransitionRequest, violations) {
	p := newParser(body)
	all := p.parse([]field{{"version", false, (*bodyParser).version}, {"reason", false, (*bodyParser).reason}})
	return p.transition, all
}

func parseBody(body []byte) (order.Draft, violations) {
	p := newParser(body)
	all := p.parse(draftFields)
	return p.draft, all
}

func newParser(body []byte) *bodyParser {
	p := &bodyParser{json: new(jsontext.Decoder)}
	p.body.Write(body)
	return p
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
