package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"orders/shared/order"
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

// check reads the whole database file and prints what is in it. It fails when
// something there does not fit together, and cannot be mended or is not to be.
func check(ctx context.Context, cfg config, stdout, _ io.Writer) error {
	if cfg.repair {
		return repair(ctx, cfg.db, stdout)
	}
	report, err := sqlite.Check(ctx, cfg.db)
	if err != nil {
		return err
	}
	if err := printReport(stdout, cfg.db, report); err != nil {
		return err
	}
	switch {
	case report.Damaged:
		return fmt.Errorf("%s: %w", cfg.db, errDamaged)
	case len(report.Findings) > 0:
		return fmt.Errorf("%s: does not fit together, see the findings; orders check --repair mends what does not concern an order itself", cfg.db)
	}
	return nil
}

// errDamaged is about a file in which no repair helps.
var errDamaged = errors.New("is damaged, see the findings: restore a backup with orders restore")

// repair mends what follows from the orders, and prints what it has changed and what is in the file.
func repair(ctx context.Context, db string, stdout io.Writer) error {
	repaired, err := sqlite.Repair(ctx, db, time.Now)
	if err != nil {
		return err
	}
	if err := printRepaired(stdout, db, repaired); err != nil {
		return err
	}
	switch {
	case repaired.After.Damaged:
		return fmt.Errorf("%s: %w; nothing was changed", db, errDamaged)
	case len(repaired.After.Findings) > 0:
		return fmt.Errorf("%s: the findings are about orders themselves, which no repair touches: restore a backup, or live with them", db)
	}
	return nil
}

func printRepaired(w io.Writer, db string, repaired sqlite.Repaired) error {
	var err error
	line := func(format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(w, format+"\n", args...)
		}
	}
	if repaired.Before.Missing > 0 {
		line("missing: %d orders that were acknowledged; the numbers agree again, but no repair brings orders back: restore a backup if you did not delete them", repaired.Before.Missing)
	}
	if repaired.Backup != "" {
		for _, finding := range repaired.Before.Findings {
			line("found: %s", finding)
		}
		line("backup: %s", repaired.Backup)
		for _, change := range repaired.Changes {
			line("changed: %s", change)
		}
	}
	return errors.Join(err, printReport(w, db, repaired.After))
}

func printReport(w io.Writer, db string, report sqlite.Report) error {
	count := report.Tally.ByStatus
	_, err := fmt.Fprintf(w, `database      %s
orders        %d (%d Pending, %d Processing, %d Completed)
timed         %d, on average %.3f s from creation to completion
keys indexed  %d
dead letters  %d
`, db, report.Tally.Total(), count[order.Pending], count[order.Processing], count[order.Completed],
		report.Tally.CompletedCount, report.Tally.AvgProcessTime(), report.Keys, report.DeadLetters)
	for _, finding := range report.Findings {
		if err == nil {
			_, err = fmt.Fprintln(w, "finding:", finding)
		}
	}
	if err == nil && len(report.Findings) == 0 {
		_, err = fmt.Fprintln(w, "ok")
	}
	return err
}
