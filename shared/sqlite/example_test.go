package sqlite_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"orders/shared/order"
	"orders/shared/sqlite"
)

// A draft with an idempotency key creates one order, however often it is sent. A backup may be made
// while the database is in use.
func Example() {
	folder, err := os.MkdirTemp("", "orders-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(folder) }()
	ctx, path := context.Background(), filepath.Join(folder, "orders.db")
	store, err := sqlite.Open(ctx, sqlite.Config{
		Path:       path,
		Fulfilment: order.Timer(50 * time.Second),
		Now:        time.Now,
		Random:     rand.Reader,
		Log:        slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	draft := order.Draft{
		Key:     order.KeyedID("", "a key of the client"),
		Details: order.Details{UserID: "645", ItemIDs: []string{"890", "563"}, TotalAmount: 1650_78},
	}
	draft.SetFingerprint()
	for range 2 {
		created, replayed, err := store.Create(ctx, draft)
		fmt.Println(created.UserID, created.ItemIDs, created.TotalAmount, "replayed:", replayed, err)
	}
	report, err := sqlite.Backup(ctx, path, filepath.Join(folder, "backup.db"), time.Now)
	fmt.Println(report.Tally.Total(), "order,", len(report.Findings), "findings,", err)
	fmt.Println("closed:", store.Close())
	// Output:
	// 645 [890 563] 1650.78 replayed: false <nil>
	// 645 [890 563] 1650.78 replayed: true <nil>
	// 1 order, 0 findings, <nil>
	// closed: <nil>
}
