package main

import (
	"context"

	"github.com/alecthomas/kong"

	"orders/cmd/internal/transition"
)

// transitionCommands are the commands that change an order of a running service.
type transitionCommands struct {
	Cancel   transitionCommand `cmd:"" help:"Cancel an order that is not Completed, at a running service."`
	Complete transitionCommand `cmd:"" help:"Complete an order that is Processing, as a worker does."`
	Fail     transitionCommand `cmd:"" help:"Report that an order cannot be completed, as a worker does; needs --reason."`
	Retry    transitionCommand `cmd:"" help:"Process an order once more that has failed; needs --version."`
}

type transitionCommand struct {
	transition.Call
	API string `name:"api" variable:"ORDERS_API" default:"http://127.0.0.1:8000" placeholder:"URL" help:"Address of the service"`
}

// Help follows the list of flags.
func (*transitionCommand) Help() string {
	return `Prints the status of the order. The exit status is 1 if the service refuses. The same command again does nothing twice.`
}

// AfterApply checks the address.
func (c *transitionCommand) AfterApply() error {
	return require(transition.ValidURL(c.API), "--api (ORDERS_API)", "a URL such as http://127.0.0.1:8000", c.API)
}

// Run makes the transition that has the name of the command.
func (c *transitionCommand) Run(ctx context.Context, line *kong.Context, out console) error {
	return c.Do(ctx, c.API, line.Selected().Name, out.stdout)
}
