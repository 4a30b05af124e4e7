package functions_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
)

// A network lies between functions and what they call. It is well until it is broken.
type network struct {
	t        *testing.T
	upstream string // what is behind it, host:port
	proxy    *toxiproxy.Proxy
}

func openNetwork(t *testing.T, endpoint string) *network {
	t.Helper()
	n := &network{t: t, upstream: strings.TrimPrefix(endpoint, "http://")}
	n.connect("127.0.0.1:0")
	t.Cleanup(func() { n.proxy.Stop() })
	return n
}

// endpoint is the URL at which the network is entered, which stays the same.
func (n *network) endpoint() string { return "http://" + n.proxy.Listen }

func (n *network) connect(listen string) {
	n.t.Helper()
	server := &toxiproxy.ApiServer{Metrics: toxiproxy.NewMetricsContainer(nil)}
	zero(&server.Logger) // which says nothing
	n.proxy = toxiproxy.NewProxy(server, "network", listen, n.upstream)
	if err := n.proxy.Start(); err != nil {
		n.t.Fatal(err)
	}
}

// zero gives a pointer something to point to, without a name for its type.
func zero[T any](p **T) { *p = new(T) }

// poison makes one of toxiproxy's toxics act on all connections, those that are open
// included; see https://github.com/Shopify/toxiproxy#toxics. The stream is "upstream"
// for requests, "downstream" for answers.
func (n *network) poison(toxic, stream, attributes string) {
	text := fmt.Sprintf(`{"type": %q, "stream": %q, "attributes": %s}`, toxic, stream, attributes)
	if _, err := n.proxy.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
		n.t.Errorf("%s: %v", text, err)
	}
}

// mend makes the network as it was, at the same address. Connections from before
// are gone.
func (n *network) mend() {
	n.proxy.Stop()
	n.connect(n.proxy.Listen)
}
