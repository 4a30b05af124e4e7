package transition

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"orders/shared/order"
)

// I5: what does not answer as the API has not made the transition.
func TestAnAnswerThatIsNotTheAPIsIsAnError(t *testing.T) {
	for _, tt := range []struct {
		status     int
		body, want string // the error, behind the URL of the call
	}{
		{http.StatusOK, "<h1>Welcome</h1>", " is not the address of an API of orders"},
		{http.StatusOK, "{}", " is not the address of an API of orders"},
		{http.StatusBadGateway, "<h1>Bad Gateway</h1>", " answers 502 Bad Gateway"},
		{http.StatusForbidden, `{"message":"Forbidden"}`, " answers 403 Forbidden"},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tt.status)
			_, _ = io.WriteString(w, tt.body)
		}))
		id := order.KeyedID("", "key")
		var stdout strings.Builder
		err := Call{OrderID: string(id)}.Do(t.Context(), s.URL, "cancel", &stdout)
		if want := s.URL + "/api/orders/" + string(id) + "/cancel/" + tt.want; err == nil || err.Error() != want || stdout.Len() > 0 {
			t.Errorf("%d %s: error %v, want %s; it prints %q", tt.status, tt.body, err, want, &stdout)
		}
		s.Close()
	}
}
