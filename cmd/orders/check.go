package main

import (
	"context"
	"fmt"
	"io"

	"orders/shared/order"
	"orders/shared/sqlite"
)

// check reads the whole database file and prints what is in it. It fails when
// something there does not fit together.
func check(ctx context.Context, cfg config, stdout, _ io.Writer) error {
	report, err := sqlite.Check(ctx, cfg.db)
	if err != nil {
		return err
	}
	if err := printReport(stdout, cfg.db, report); err != nil {
		return err
	}
	if len(report.Findings) > 0 {
		return fmt.Errorf("%s: does not fit together, see the findings", cfg.db)
	}
	return nil
}

func printReport(w io.Writer, db string, report sqlite.Report) error {
	count := report.Tally.ByStatus
	_, err := fmt.Fprintf(w, `database      %s
orders        %d (%d Pending, %d Processing, %d Completed)
timed         %d, on average %.3f s from creation to completion
keys indexed  %d
dead letters  %d
`, db, report.Tally.Total(), count[order.Pending], count[order.Processing], count[order.Completed],
		report.Tally.TimedOrders, report.Tally.AvgProcessTime(), report.Keys, report.DeadLetters)
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
