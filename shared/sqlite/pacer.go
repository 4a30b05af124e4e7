package sqlite

import "time"

// A pacer spaces commits out under load, so that groups grow and the processor
// is left to the clients: with 1,000 of them, commits 4 ms apart take a quarter more orders
// than commits back to back. At rest nobody waits.
type pacer struct {
	creates int       // since the window began
	began   time.Time // the window
	busy    bool      // whether the window before was
}

const (
	commitInterval = 4 * time.Millisecond
	pacerWindow    = 50 * time.Millisecond
	busyRate       = 15_000 // creates a second
)

// delay is how long to wait after a commit of so many creates that ran from began
// to ended.
func (p *pacer) delay(creates int, began, ended time.Time) time.Duration {
	p.creates += creates
	if window := ended.Sub(p.began); window >= pacerWindow {
		p.busy = float64(p.creates) > busyRate*window.Seconds()
		p.creates, p.began = 0, ended
	}
	if !p.busy {
		return 0
	}
	return commitInterval - ended.Sub(began)
}
