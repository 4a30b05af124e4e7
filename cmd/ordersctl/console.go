package main

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"
)

// helpWidth is how wide help is on a wide terminal.
const helpWidth = 110

// A console is where a command writes to: results to stdout, and what is going on
// to stderr.
type console struct {
	stdout, stderr io.Writer
}

// say tells what is going on, or has been done, in a line.
func (c *console) say(format string, args ...any) {
	fmt.Fprintf(c.stderr, format+"\n", args...)
}

// writeJSON writes a result for a machine: one value, readable for people, too.
func (c *console) writeJSON(v any) error {
	if err := json.MarshalWrite(c.stdout, v, jsontext.WithIndent("  ")); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	_, err := io.WriteString(c.stdout, "\n")
	return err
}

// progress begins to show how far something has got: as a bar on a terminal, and
// as lines elsewhere. total may be a guess.
func (c *console) progress(what string, total int64) *progress {
	p := &progress{console: c, what: what, next: time.Now().Add(lineInterval)}
	if file, ok := c.stderr.(*os.File); ok && isatty.IsTerminal(file.Fd()) {
		p.bar = newBar(c.stderr, what, total)
	}
	return p
}

func newBar(w io.Writer, what string, total int64) *progressbar.ProgressBar {
	return progressbar.NewOptions64(max(total, 1),
		progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionClearOnFinish(),
		progressbar.OptionThrottle(100*time.Millisecond))
}

// lineInterval is how often progress is told where there is no terminal.
const lineInterval = 10 * time.Second

// A progress counts what is done. It is for one goroutine.
type progress struct {
	console *console
	what    string
	bar     *progressbar.ProgressBar
	done    int64
	next    time.Time // when the next line is due
}

// add counts n more.
func (p *progress) add(n int64) {
	p.done += n
	if p.bar != nil {
		if p.done >= p.bar.GetMax64() {
			p.bar.ChangeMax64(p.done + 1) // the total was a guess, and a full bar is gone
		}
		_ = p.bar.Set64(p.done) // it can only fail to draw
	} else if now := time.Now(); now.After(p.next) {
		p.next = now.Add(lineInterval)
		p.console.say("%s: %d", p.what, p.done)
	}
}

// end takes the bar away.
func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Finish() // it can only fail to draw
	}
}
