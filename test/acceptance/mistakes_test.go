package acceptance

import (
	"encoding/json/v2"
	"net/http"
	"strings"
	"testing"
)

func TestMistakesAreTold(t *testing.T) {
	h := open(t)
	for name, tt := range map[string]struct {
		method, path, body string
		headers            []string
		status             int
		code               string
	}{
		"no body":          {http.MethodPost, "/api/orders/create/", "", []string{"Content-Type", "application/json"}, 400, "empty_body"},
		"no JSON":          {http.MethodPost, "/api/orders/", "{", nil, 400, "invalid_json"},
		"another type":     {http.MethodPost, "/api/orders/create/", plain, []string{"Content-Type", "text/plain"}, 415, "unsupported_media_type"},
		"too much":         {http.MethodPost, "/api/orders/create/", strings.Repeat(" ", 64<<10) + plain, nil, 413, "body_too_large"},
		"unknown order":    {http.MethodGet, "/api/orders/ORD01ARZ3NDEKTSV4RRFFQ69G5FAV/status/", "", nil, 404, "order_not_found"},
		"no id":            {http.MethodGet, "/api/orders/1/", "", nil, 404, "order_not_found"},
		"another method":   {http.MethodDelete, "/api/orders/ids/", "", nil, 405, "method_not_allowed"},
		"too large a page": {http.MethodGet, "/api/orders/ids/?limit=1001", "", nil, 400, "invalid_limit"},
		"no cursor":        {http.MethodGet, "/api/orders/ids/?cursor=1", "", nil, 400, "invalid_cursor"},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			h.wantProblem(h.ask(tt.method, tt.path, tt.body, tt.headers...), tt.status, tt.code)
		})
	}
	a := h.ask(http.MethodPost, "/api/orders/create/", `{"user_id": " anna", "item_ids": [], "total_amount": 9.999}`)
	if p := h.wantProblem(a, http.StatusBadRequest, "invalid_characters"); len(p.Errors) != 3 {
		t.Errorf("three faults are told as %+v", p.Errors)
	}
}

func TestAMethodThatIsNotThereGetsThoseThatAre(t *testing.T) {
	h := open(t)
	if allow := h.ask(http.MethodDelete, "/api/orders/ids", "").Header.Get("Allow"); allow != "GET, HEAD" {
		t.Errorf("Allow is %q", allow)
	}
}

// A problem is what RFC 9457 calls so.
type problem struct {
	Status int
	Code   string
	Errors []struct{ Pointer, Code, Detail string }
}

func (h *home) wantProblem(a answer, status int, code string) (p problem) {
	h.Helper()
	err := json.Unmarshal(a.body, &p, json.MatchCaseInsensitiveNames(true))
	if err != nil || a.StatusCode != status || p.Status != status || p.Code != code || a.Header.Get("Content-Type") != "application/problem+json" {
		h.Errorf("answered %s %v: %s (%v), not %d %s", a.Status, a.Header, a.body, err, status, code)
	}
	return p
}
