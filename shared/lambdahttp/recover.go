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

// serve lets the handler answer as a net/http server would. The adapter takes the
// last status for the first, no status for an error, and lets a panic through.
func serve(h http.Handler, w http.ResponseWriter, r *http.Request, requestID string, log *slog.Logger) {
	a := answered(h, r, requestID, log)
	maps.Copy(w.Header(), a.sent)
	w.Header().Del("Connection") // it is about ours to API Gateway, which does not care
	w.WriteHeader(a.status)
	if a.body.Len() > 0 {
		_, _ = w.Write(a.body.Bytes()) // into memory
	}
}

// answered is the handler's answer, or, if it panics, a problem in place of
// whatever it has begun.
func answered(h http.Handler, r *http.Request, requestID string, log *slog.Logger) (a *answer) {
	a = newAnswer()
	defer func() {
		if p := recover(); p != nil {
			err := fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			log.ErrorContext(r.Context(), "the handler failed", "request_id", requestID, "err", err)
			a = newAnswer()
			api.WriteProblem(a, cmp.Or(requestID, "unknown"), err)
		}
	}()
	h.ServeHTTP(a, r)
	a.WriteHeader(http.StatusOK) // unless there is a status
	return a
}

// An answer is a ResponseWriter that keeps what net/http would send.
type answer struct {
	header http.Header // which the handler changes
	sent   http.Header // as it was when the status was given
	status int
	body   bytes.Buffer
}

func newAnswer() *answer { return &answer{header: http.Header{}} }

func (a *answer) Header() http.Header { return a.header }

// WriteHeader takes the first status. Those below 200 announce another, which
// API Gateway has no use for.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK {
		a.status, a.sent = status, a.header.Clone()
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}
