package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"orders/shared/sqlite"
)

type backupCommand struct {
	databaseFlag
	Dest string `arg:"" name:"DEST" help:"The file to write. If it exists, it is replaced once the copy is checked."`
}

type restoreCommand struct {
	databaseFlag
	Src string `arg:"" name:"SRC" help:"The backup to copy to the place of the database."`
}

type checkCommand struct {
	databaseFlag
	Repair bool `help:"Back up the database, and recompute from the orders what follows from them."`
}

// AfterApply reports all wrong settings together.
func (c *backupCommand) AfterApply() error {
	return errors.Join(requirePath("DEST", c.Dest), c.databaseFlag.AfterApply())
}

// AfterApply reports all wrong settings together.
func (c *restoreCommand) AfterApply() error {
	return errors.Join(requirePath("SRC", c.Src), c.databaseFlag.AfterApply())
}

func requirePath(argument, value string) error {
	return require(isPath(value), argument, "the path of a file, such as backup.db", value)
}

// Run copies the database to a file and prints a report of the copy.
func (c *backupCommand) Run(ctx context.Context, out console) error {
	report, err := sqlite.Backup(ctx, c.DB, c.Dest, time.Now)
	return printCopy(out.stdout, c.Dest, report, err)
}

// Run replaces the database with a copy of a backup and prints a report of the copy.
func (c *restoreCommand) Run(ctx context.Context, out console) error {
	report, err := sqlite.Restore(ctx, c.Src, c.DB, time.Now)
	return printCopy(out.stdout, c.DB, report, err)
}

// printCopy prints the report of a copy, also if the copy was refused because of its findings.
func printCopy(w io.Writer, file string, report sqlite.Report, err error) error {
	if err == nil || errors.Is(err, sqlite.ErrFindings) {
		err = errors.Join(printReport(w, "", file, report), err)
	}
	return err
}

// Run reads the whole database, repairs it if that is asked for, and prints a report. It fails if
// there are findings, or if findings remain after a repair.
func (c *checkCommand) Run(ctx context.Context, out console) (err error) {
	var done sqlite.Repaired
	damaged, remaining := "", "does not fit together, see the findings; orders check --repair mends what does not concern an order itself"
	if c.Repair {
		done, err = sqlite.Repair(ctx, c.DB, time.Now)
		damaged, remaining = "; nothing was changed", "the findings are about orders themselves, which no repair touches: restore a backup, or live with them"
	} else {
		done.After, err = sqlite.Check(ctx, c.DB)
	}
	if err == nil {
		err = printReport(out.stdout, formatRepair(done), c.DB, done.After)
	}
	switch {
	case err != nil:
		return err
	case done.After.Damaged:
		return fmt.Errorf("%s: is damaged, see the findings: restore a backup with orders restore%s", c.DB, damaged)
	case len(done.After.Findings) > 0:
		return fmt.Errorf("%s: %s", c.DB, remaining)
	}
	return nil
}

func formatRepair(repaired sqlite.Repaired) string {
	var b strings.Builder
	if repaired.Before.Missing > 0 {
		fmt.Fprintf(&b, "missing: %d orders that were acknowledged; the numbers agree again, but no repair brings orders back: restore a backup if you did not delete them\n", repaired.Before.Missing)
	}
	if repaired.Backup != "" {
		for _, finding := range repaired.Before.Findings {
			fmt.Fprintf(&b, "found: %s\n", finding)
		}
		fmt.Fprintf(&b, "backup: %s\n", repaired.Backup)
		for _, change := range repaired.Changes {
			fmt.Fprintf(&b, "changed: %s\n", change)
		}
	}
	return b.String()
}

func printReport(w io.Writer, text, file string, report sqlite.Report) error {
	text += fmt.Sprintf(`database      %s
orders        %d (%s)
timed         %d, on average %.3f s from creation to completion
keys indexed  %d
dead letters  %d
`, file, report.Tally.Total(), report.Tally.ByStatus,
		report.Tally.CompletedCount, report.Tally.AvgProcessTime(), report.Keys, report.DeadLetters)
	for _, finding := range report.Findings {
		text += fmt.Sprintln("finding:", finding)
	}
	if len(report.Findings) == 0 {
		text += "ok\n"
	}
	_, err := io.WriteString(w, text)
	return err
}
