package functions_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// A forgetful network is one that can forget the connections that are open, as one
// does that has not seen anything on them for long: what is sent there vanishes, and
// neither side is told. New connections work.
type forgetfulNetwork struct {
	endpoint string
	forgot   atomic.Int64 // how often
	vanished atomic.Int64 // requests
}

// openedAfter is the context's key of how often the network had forgotten when the
// connection was opened.
type openedAfter struct{}

func openForgetfulNetwork(t *testing.T, endpoint string) *forgetfulNetwork {
	t.Helper()
	n := &forgetfulNetwork{}
	through := proxyTo(t, endpoint)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Value(openedAfter{}) == n.forgot.Load() {
			through.ServeHTTP(w, r)
			return
		}
		n.vanished.Add(1)
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client has gone
		<-r.Context().Done()
	}))
	server.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, openedAfter{}, n.forgot.Load())
	}
	server.Start()
	t.Cleanup(server.Close)
	n.endpoint = server.URL
	return n
}

// F24, I3, I16: Lambda freezes a function between two events, for minutes. A
// connection that the network has forgotten meanwhile costs an attempt, not the call.
func TestAFunctionSurvivesThatTheNetworkForgetsItsConnections(t *testing.T) {
	t.Parallel()
	h := openHome(t)
	network := openForgetfulNetwork(t, h.endpoint)
	h.endpoint = network.endpoint
	create, ids := h.start("create"), h.start("ids")
	event, list := sampleEvent(t, "create"), sampleEvent(t, "ids")
	await(create, create.asked)
	checkAnswer(t, "ids", ids.invoke(list).body, 200, []string{"[]"}) // over sixteen connections

	network.forgot.Add(1)
	create.events <- event
	ids.events <- list
	checkAnswer(t, "create", await(create, create.result).body, 201, []string{sample})
	checkAnswer(t, "ids", await(ids, ids.result).body, 200, nil) // with the order or yet without it
	if network.vanished.Load() < 2 {
		t.Errorf("%d requests have vanished, not one of each function", network.vanished.Load())
	}
	checkAnswer(t, "ids", ids.invoke(list).body, 200, []string{`[{"order_id":"` + sample + `"}]`})
}
