package sqlite_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"orders/shared/sqlite"
	"orders/test/conformance"
)

func TestConformance(t *testing.T) { conformance.Run(t, openHome) }

func openHome(t *testing.T) conformance.Harness {
	const processingTime = 200 * time.Millisecond
	path := filepath.Join(t.TempDir(), "orders.db")
	store := open(t, path, processingTime)
	return conformance.Harness{
		Store: store, Metrics: store, Deliver: store.Deliver, ProcessingTime: processingTime,
		DeadLetters: func(context.Context) ([][]byte, error) { return deadLetters(path) },
	}
}

// open opens a store for the time of the test.
func open(t *testing.T, path string, processingTime time.Duration) *sqlite.Store {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Config{
		Path: path, ProcessingTime: processingTime, Now: time.Now,
		Random: bufio.NewReader(rand.Reader), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return store
}

// deadLetters looks into the file as an operator would, from another connection.
func deadLetters(path string) (bodies [][]byte, err error) {
	conn, err := zombiezen.OpenConn(path, zombiezen.OpenReadOnly|zombiezen.OpenWAL)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	err = sqlitex.Execute(conn, "SELECT body FROM dead_letters ORDER BY number", &sqlitex.ExecOptions{
		ResultFunc: func(row *zombiezen.Stmt) error {
			body := make([]byte, row.ColumnLen(0))
			row.ColumnBytes(0, body)
			bodies = append(bodies, body)
			return nil
		},
	})
	return bodies, err
}
