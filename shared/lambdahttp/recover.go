package lambdahttp

import (
	"bytes"
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"

	"orders/shared/api"
)

// serve writes the response that a net/http server would write. The adapter differs: the last
// status wins, a response without a status is an error, and a panic is not recovered.
func serve(h http.Handler, w http.ResponseWriter, r *http.Request, requestID string, log *slog.Logger) {
	res := record(h, r, requestID, log)
	maps.Copy(w.Header(), res.sent)
	w.Header().Del("Connection") // it would be about the connection to API Gateway
	w.WriteHeader(res.status)
	if res.body.Len() > 0 {
		_, _ = w.Write(res.body.Bytes()) // into memory
	}
}

// record returns the handler's response. If the handler panics, the response is a problem instead.
func record(h http.Handler, r *http.Request, requestID string, log *slog.Logger) (res *responseRecorder) {
	res = newResponseRecorder()
	defer func() {
		if p := recover(); p != nil {
			err := fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			log.ErrorContext(r.Context(), "the handler failed", "request_id", requestID, "err", err)
			res = newResponseRecorder()
			api.WriteProblem(res, cmp.Or(requestID, "unknown"), err)
		}
	}()
	h.ServeHTTP(res, r)
	res.WriteHeader(http.StatusOK) // without effect if there is a status
	return res
}

// A responseRecorder is a ResponseWriter that keeps what net/http would send.
type responseRecorder struct {
	header http.Header // the handler's, which may change after the status was sent
	sent   http.Header // as it was when the status was sent
	status int
	body   bytes.Buffer
}

func newResponseRecorder() *responseRecorder { return &responseRecorder{header: http.Header{}} }

func (r *responseRecorder) Header() http.Header { return r.header }

// WriteHeader keeps the first status. A status below 200 precedes the response's own, and API
// Gateway has no use for it.
func (r *responseRecorder) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK {
		r.status, r.sent = status, r.header.Clone()
	}
}

func (r *responseRecorder) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(b)
}
