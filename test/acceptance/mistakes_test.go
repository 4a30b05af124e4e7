package acceptance

import (
	"encoding/json/v2"
	"net/http"
	"strings"
	"testing"

	"orders/test/service"
)

func TestInvalidRequestsGetProblems(t *testing.T) {
	d := open(t)
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
			d := open(t)
			d.wantProblem(d.send(tt.method, tt.path, tt.body, tt.headers...), tt.status, tt.code)
		})
	}
	r := d.send(http.MethodPost, "/api/orders/create/", `{"user_id": " anna", "item_ids": [], "total_amount": 9.999}`)
	if p := d.wantProblem(r, http.StatusBadRequest, "invalid_characters"); len(p.Errors) != 3 {
		t.Errorf("three violations are told as %+v", p.Errors)
	}
}

func TestAMethodThatIsNotAllowedGetsThoseThatAre(t *testing.T) {
	d := open(t)
	if allow := d.send(http.MethodDelete, "/api/orders/ids", "").Header.Get("Allow"); allow != "GET, HEAD" {
		t.Errorf("Allow is %q", allow)
	}
}

// A problem is the body of an error, by RFC 9457.
type problem struct {
	Status int
	Code   string
	Errors []struct{ Pointer, Code, Detail string }
}

func (d *deployment) wantProblem(r *service.Response, status int, code string) (p problem) {
	d.Helper()
	err := json.Unmarshal(r.Content, &p, json.MatchCaseInsensitiveNames(true))
	if err != nil || r.StatusCode != status || p.Status != status || p.Code != code || r.Header.Get("Content-Type") != "application/problem+json" {
		d.Errorf("the response is %s %v: %s (%v), not %d %s", r.Status, r.Header, r.Content, err, status, code)
	}
	return p
}
