package main

import (
	"context"
	"errors"

	"github.com/alecthomas/kong"

	"orders/cmd/internal/transition"
)

// transitionCommands are the commands that change an order through the API.
type transitionCommands struct {
	Cancel   transitionCommand `cmd:"" help:"Cancel an order that is not Completed."`
	Complete transitionCommand `cmd:"" help:"Complete an order that is Processing, as a worker does."`
	Fail     transitionCommand `cmd:"" help:"Report that an order cannot be completed, as a worker does; needs --reason."`
	Retry    transitionCommand `cmd:"" help:"Process an order once more that has failed; needs --version."`
}

type transitionCommand struct {
	transition.Call
	API string `name:"api" env:"ORDERS_API" placeholder:"URL" help:"Address of the API: the stack's output ApiUrl."`
}

// Help is the part of the help that is longer than a line.
func (*transitionCommand) Help() string {
	return `Prints the status of the order. The exit status is 1 if the API refuses. The same command again does nothing twice. It needs no rights in AWS.`
}

// Validate checks the address.
func (c *transitionCommand) Validate() error {
	return errors.Join(
		given("--api", "ORDERS_API", c.API),
		rule(c.API == "" || transition.ValidURL(c.API), "--api must be a URL such as https://example.execute-api.eu-west-1.amazonaws.com, not %q", c.API),
	)
}

// Run makes the transition that has the name of the command.
func (c *transitionCommand) Run(ctx context.Context, line *kong.Context, out *console) error {
	return c.Do(ctx, c.API, line.Selected().Name, out.stdout)
}
