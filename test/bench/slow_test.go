package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// hasty is the address of a server with large responses and short timeouts.
func hasty(t *testing.T) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, 16<<20)) // more than the buffers hold
	}))
	s.Config.ReadTimeout, s.Config.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// F26: a measurement beside slow clients means something only while they are connected.
func TestSlowClientsThatAreCutOffComeAgain(t *testing.T) {
	const clients = 10
	for i, kind := range slowKinds {
		crowd, err := startCrowd(t.Context(), hasty(t), clients, kind)
		if err != nil {
			t.Fatal(err)
		}
		defer crowd.stop()
		ticks, tooLong := time.NewTicker(10*time.Millisecond), time.After(time.Minute)
		defer ticks.Stop()
		// All are cut off at about the same time, so for a moment few are there.
		for crowd.cutOff.Load() < 3*clients || crowd.connected.Load() < clients {
			select {
			case <-ticks.C:
			case <-tooLong:
				t.Fatalf("kind %d: %d of %d slow clients are connected, and %d connections were cut off", i, crowd.connected.Load(), clients, crowd.cutOff.Load())
			}
		}
		if n := crowd.connected.Load(); n > clients {
			t.Errorf("kind %d: %d of %d slow clients are connected", i, n, clients)
		}
	}
}
