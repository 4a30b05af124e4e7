package api_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json/v2"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"orders/shared/api"
)

const validOrder = `{"user_id": "anna", "item_ids": ["tea"], "total_amount": 1}`

// create sends a body, with its length or without, and returns the status and the pointers to the
// errors in the response.
func create(t *testing.T, body string, withLength bool) (status int, pointers []string) {
	t.Helper()
	store := failing{} // takes every order
	handler := api.New(api.Config{
		Orders: store, Metrics: store, Health: store.Health, Now: time.Now,
		RequestID: func() string { return "the-request" }, Log: slog.New(slog.DiscardHandler),
	})
	var reader io.Reader = strings.NewReader(body)
	if !withLength {
		reader = io.MultiReader(reader)
	}
	req := httptest.NewRequest(http.MethodPost, "/api/orders/create/", reader)
	req.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, req)
	var problem struct {
		Errors []struct {
			Pointer string `json:"pointer"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(recorder.Body.Bytes(), &problem); err != nil {
		t.Fatalf("%s: %v", recorder.Body, err)
	}
	for _, e := range problem.Errors {
		pointers = append(pointers, e.Pointer)
	}
	return recorder.Code, pointers
}

// I2, I15.
func TestABodyOfTheLargestSizeIsAcceptedAndOneByteMoreIsNot(t *testing.T) {
	const largest = 64 << 10
	for _, withLength := range []bool{true, false} {
		for size, want := range map[int]int{largest: http.StatusCreated, largest + 1: http.StatusRequestEntityTooLarge} {
			body := validOrder + strings.Repeat(" ", size-len(validOrder))
			if status, _ := create(t, body, withLength); status != want {
				t.Errorf("%d bytes, length announced: %t: status %d, want %d", size, withLength, status, want)
			}
		}
	}
}

func TestAResponseListsAtMost200Errors(t *testing.T) {
	for unknown, want := range map[int]int{199: 199, 200: 200, 201: 200, 1000: 200} {
		var fields strings.Builder
		for i := range unknown {
			fmt.Fprintf(&fields, `, "field-%d": 1`, i)
		}
		status, pointers := create(t, strings.TrimSuffix(validOrder, "}")+fields.String()+"}", true)
		if status != http.StatusBadRequest || len(pointers) != want {
			t.Errorf("%d unknown fields: status %d and %d errors, want 400 and %d", unknown, status, len(pointers), want)
		}
	}
}

func TestALongFieldNameIsCutAt400BytesBetweenCharacters(t *testing.T) {
	x := strings.Repeat("x", 398)
	for name, want := range map[string]string{
		x + "yz":  x + "yz",
		x + "yzz": x + "yz…",
		x + "yé":  x + "y…",
	} {
		_, pointers := create(t, strings.TrimSuffix(validOrder, "}")+`, "`+name+`": 1}`, true)
		if len(pointers) != 1 || pointers[0] != "/"+want {
			t.Errorf("a name of %d bytes: pointers %.420q", len(name), pointers)
		}
	}
}

func TestItemsBeyondTheLargestNumberAreNotChecked(t *testing.T) {
	for valid, want := range map[int][]string{99: {"/item_ids/99"}, 100: {"/item_ids"}} {
		items := strings.Repeat(`"tea", `, valid) + `" "`
		_, pointers := create(t, `{"user_id": "anna", "item_ids": [`+items+`], "total_amount": 1}`, true)
		if !slices.Equal(pointers, want) {
			t.Errorf("an invalid item behind %d valid ones: errors at %v, want %v", valid, pointers, want)
		}
	}
}

func TestARequestIDIsKeptIfItHas1To100VisibleASCIICharacters(t *testing.T) {
	const other = "the-request"
	handler := api.New(api.Config{
		Orders: failing{}, Metrics: failing{}, Health: failing{}.Health, Now: time.Now,
		RequestID: func() string { return other }, Log: slog.New(slog.DiscardHandler),
	})
	for id, want := range map[string]string{
		"!~": "!~", "a b": other, "!\x7f": other, "é": other, "": other,
		strings.Repeat("x", 100): strings.Repeat("x", 100), strings.Repeat("x", 101): other,
	} {
		req := httptest.NewRequest(http.MethodGet, "/api/metrics/", nil)
		req.Header["X-Request-Id"] = []string{id}
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, req)
		if got := recorder.Header().Get("X-Request-Id"); got != want {
			t.Errorf("%q becomes %q, want %q", id, got, want)
		}
	}
}

func TestAPageHas1To1000IDs(t *testing.T) {
	for limit, want := range map[int]int{
		0: http.StatusBadRequest, 1: http.StatusOK, 1000: http.StatusOK, 1001: http.StatusBadRequest,
	} {
		if res, _ := serve(failing{}, http.MethodGet, fmt.Sprintf("/api/orders/ids/?limit=%d", limit)); res.Code != want {
			t.Errorf("limit %d: status %d, want %d", limit, res.Code, want)
		}
	}
}

// I12. A cursor is a checksum and a position.
func TestACursorWithoutAPositionIsInvalid(t *testing.T) {
	sum := sha256.Sum256([]byte("cursor "))
	cursor := base64.RawURLEncoding.EncodeToString(sum[:6])
	if res, _ := serve(failing{}, http.MethodGet, "/api/orders/ids/?cursor="+cursor); res.Code != http.StatusBadRequest {
		t.Errorf("status %d, want 400: %s", res.Code, res.Body)
	}
}
