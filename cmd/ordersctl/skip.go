package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"orders/shared/dynamostore"
)

type skipCommand struct {
	account
	Table          string `env:"ORDERS_TABLE" placeholder:"NAME" help:"The orders' table."`
	Shard          string `placeholder:"ID" help:"The record's shard, as the tally's log names it."`
	SequenceNumber string `placeholder:"N" help:"The record's sequence number, as the tally's log names it."`
}

// Help is the part of the help that is longer than a line.
func (*skipCommand) Help() string {
	return `A record of the stream that the tally cannot read stops the metrics of its shard, on purpose: it may be readable to the next version of the code. If it is not, this lets the tally pass it. The metrics then lack what the record would have changed. They say "exact": false, until a recount has repaired them: ordersctl reconcile --repair.

A record that can be read is counted nevertheless. The tally repeats the record by itself, within minutes.`
}

// Validate names every flag whose value is missing.
func (c *skipCommand) Validate() error {
	return errors.Join(
		given("--table", "ORDERS_TABLE", c.Table),
		rule(c.Shard != "", "--shard is missing"),
		rule(c.SequenceNumber != "", "--sequence-number is missing"),
	)
}

// Run has the record skipped.
func (c *skipCommand) Run(ctx context.Context, out *console) error {
	cfg, err := c.config(ctx)
	if err != nil {
		return err
	}
	audit := dynamostore.Audit{Client: dynamodb.NewFromConfig(cfg), Table: c.Table}
	if err := audit.Skip(ctx, c.Shard, c.SequenceNumber, time.Now()); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out.stdout, "the tally will pass the record; the metrics are inexact until ordersctl reconcile --repair")
	return err
}
