package sqlite_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"orders/shared/order"
	"orders/shared/sqlite"
)

// openExample opens a database at path, in a new folder. done closes and removes it.
func openExample() (store *sqlite.Store, path string, done func()) {
	folder, err := os.MkdirTemp("", "orders-")
	if err != nil {
		log.Fatal(err)
	}
	path = filepath.Join(folder, "orders.db")
	store, err = sqlite.Open(context.Background(), sqlite.Config{
		Path:           path,
		ProcessingTime: 50 * time.Second,
		Now:            time.Now,
		Random:         rand.Reader,
		Log:            slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	return store, path, func() {
		fmt.Println("closed:", store.Close())
		_ = os.RemoveAll(folder)
	}
}

// A draft with an idempotency key creates one order, however often it is sent.
func Example() {
	store, _, done := openExample()
	defer done()
	ctx := context.Background()
	draft := order.Draft{
		Key:     order.KeyedID("", "a key of the client"),
		Details: order.Details{UserID: "645", ItemIDs: []string{"890", "563"}, TotalAmount: 1650_78},
	}
	draft.SetFingerprint()
	for range 2 {
		created, replayed, err := store.Create(ctx, draft)
		if err != nil {
			fmt.Println(err)
			return
		}
		read, err := store.Get(ctx, created.ID)
		fmt.Println(read.UserID, read.ItemIDs, read.TotalAmount, "replayed:", replayed, err)
	}
	// Output:
	// 645 [890 563] 1650.78 replayed: false <nil>
	// 645 [890 563] 1650.78 replayed: true <nil>
	// closed: <nil>
}

// A backup may be made while the database is in use.
func ExampleBackup() {
	store, path, done := openExample()
	defer done()
	ctx := context.Background()
	draft := order.Draft{InitialStatus: order.Completed, Details: order.Details{UserID: "645", ItemIDs: []string{"890"}}}
	if _, _, err := store.Create(ctx, draft); err != nil {
		fmt.Println(err)
		return
	}
	backup := filepath.Join(filepath.Dir(path), "backup.db")
	report, err := sqlite.Backup(ctx, path, backup, time.Now)
	fmt.Println(report.Tally.Total(), "order,", len(report.Findings), "findings,", err)
	// Output:
	// 1 order, 0 findings, <nil>
	// closed: <nil>
}
