package main

import (
	"context"
	"errors"
	"io"
	"time"

	"orders/shared/sqlite"
)

// backup copies the database to a file, and prints what is in the copy.
func backup(ctx context.Context, cfg config, stdout, _ io.Writer) error {
	report, err := sqlite.Backup(ctx, cfg.db, cfg.file, time.Now)
	return printCopied(stdout, cfg.file, report, err)
}

// restore puts a copy of a backup in the place of the database, and prints what is in it.
func restore(ctx context.Context, cfg config, stdout, _ io.Writer) error {
	report, err := sqlite.Restore(ctx, cfg.file, cfg.db, time.Now)
	return printCopied(stdout, cfg.db, report, err)
}

// printCopied prints what has been read in a copy: of one that was refused, too.
func printCopied(w io.Writer, file string, report sqlite.Report, err error) error {
	if err == nil || errors.Is(err, sqlite.ErrFindings) {
		err = errors.Join(printReport(w, file, report), err)
	}
	return err
}
