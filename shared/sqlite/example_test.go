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

// openExample opens a database in a new folder.
func openExample() (store *sqlite.Store, folder string) {
	folder, err := os.MkdirTemp("", "orders-")
	if err != nil {
		log.Fatal(err)
	}
	store, err = sqlite.Open(context.Background(), sqlite.Config{
		Path:           filepath.Join(folder, "orders.db"),
		ProcessingTime: 50 * time.Second,
		Now:            time.Now,
		Random:         rand.Reader,
		Log:            slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	return store, folder
}

// A draft with an idempotency key creates one order, however often it is sent.
func Example() {
	store, folder := openExample()
	defer os.RemoveAll(folder)
	defer store.Close()

	draft := order.Draft{
		Key:     order.KeyedID("", "a key of the client"),
		Details: order.Details{UserID: "645", ItemIDs: []string{"890", "563"}, TotalAmount: 1650_78},
	}
	draft.SetFingerprint()
	ctx := context.Background()
	for range 2 {
		created, replayed, err := store.Create(ctx, draft)
		if err != nil {
			log.Fatal(err)
		}
		read, err := store.Get(ctx, created.ID)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(read.UserID, read.ItemIDs, read.TotalAmount, "replayed:", replayed)
	}
	// Output:
	// 645 [890 563] 1650.78 replayed: false
	// 645 [890 563] 1650.78 replayed: true
}

// A backup may be made while the database is in use.
func ExampleBackup() {
	store, folder := openExample()
	defer os.RemoveAll(folder)
	defer store.Close()

	ctx := context.Background()
	draft := order.Draft{InitialStatus: order.Completed, Details: order.Details{UserID: "645", ItemIDs: []string{"890"}}}
	if _, _, err := store.Create(ctx, draft); err != nil {
		log.Fatal(err)
	}
	database, backup := filepath.Join(folder, "orders.db"), filepath.Join(folder, "backup.db")
	report, err := sqlite.Backup(ctx, database, backup, time.Now)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Tally.Total(), "order,", len(report.Findings), "findings")
	// Output: 1 order, 0 findings
}
