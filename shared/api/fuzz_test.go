package api

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"net/http"
	"strings"
	"testing"

	"orders/shared/order"
)

// FuzzCreateBody holds the parser to a few truths about any body: what it takes is
// JSON and obeys every rule of the domain, and means the same when written anew.
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
		draft, found := parseBody(body)
		if len(found) > 0 {
			if found.Error() == "" || len(found) > maxFaults {
				t.Fatalf("%d faults", len(found))
			}
			return
		}
		if !jsontext.Value(body).IsValid() {
			t.Fatalf("taken, but not JSON: %q", body)
		}
		for _, text := range append([]string{draft.UserID}, draft.ItemIDs...) {
			if err := order.CheckText(text); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
		}
		if draft.TotalAmount < 0 || draft.TotalAmount > order.MaxAmount || len(draft.ItemIDs) < 1 || len(draft.ItemIDs) > order.MaxItems {
			t.Fatalf("draft %+v", draft)
		}
		again, found := parseBody(written(t, draft))
		draft.SetFingerprint()
		again.SetFingerprint()
		if len(found) > 0 || again.Fingerprint != draft.Fingerprint {
			t.Fatalf("%+v was written and read as %+v, faults %v", draft, again, found)
		}
	})
}

func parseBody(body []byte) (order.Draft, faults) {
	p := &draftParser{json: new(jsontext.Decoder)}
	p.body.Write(body)
	return p.parse()
}

// written is the draft as a client would write it.
func written(t *testing.T, d order.Draft) []byte {
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

// FuzzCursor makes sure that only what encodeCursor gave out is taken.
func FuzzCursor(f *testing.F) {
	for _, s := range []string{"", "x", "AAAAAAAAAA", encodeCursor("1"), encodeCursor("588306736133242880"), encodeCursor("1") + "=", "\n" + encodeCursor("1")} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if position, ok := decodeCursor(s); ok && (encodeCursor(position) != s || position == "") {
			t.Fatalf("%q is taken as %q", s, position)
		}
		if position, ok := decodeCursor(encodeCursor(s)); s != "" && (!ok || position != s) {
			t.Fatalf("position %q comes back as %q, %v", s, position, ok)
		}
	})
}

// FuzzIdempotencyKey makes sure that quotes make no difference, that every other
// one does, and that what is no key is refused.
func FuzzIdempotencyKey(f *testing.F) {
	for _, s := range []string{"", `"`, `""`, "k", `"k"`, "a,b", "a b", "é", "\x00", strings.Repeat("k", 255), strings.Repeat("k", 256)} {
		f.Add(s, s+"x")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		idA, faultA := idempotencyKey(http.Header{"Idempotency-Key": {a}})
		idB, faultB := idempotencyKey(http.Header{"Idempotency-Key": {b}})
		if (faultA == nil) == (idA == "") {
			t.Fatalf("%q: id %q, fault %v", a, idA, faultA)
		}
		if faultA != nil || faultB != nil {
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
