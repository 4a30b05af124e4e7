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

// A console is where a command writes: results to stdout, progress to stderr.
type console struct {
	stdout, stderr io.Writer
}

// say writes a line about progress.
func (c *console) say(format string, args ...any) {
	fmt.Fprintf(c.stderr, format+"\n", args...)
}

// writeJSON writes a result for a program: one JSON value, indented.
func (c *console) writeJSON(v any) error {
	if err := json.MarshalWrite(c.stdout, v, jsontext.WithIndent("  ")); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	_, err := io.WriteString(c.stdout, "\n")
	return err
}

// progress begins to show the progress of something: as a bar on a terminal, and as lines
// elsewhere. total may be a guess.
func (c *console) progress(label string, total int64) *progress {
	p := &progress{console: c, label: label, next: time.Now().Add(lineInterval)}
	if file, ok := c.stderr.(*os.File); ok && isatty.IsTerminal(file.Fd()) {
		p.bar = newBar(c.stderr, label, total)
	}
	return p
}

func newBar(w io.Writer, label string, total int64) *progressbar.ProgressBar {
	return progressbar.NewOptions64(max(total, 1),
		progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(label),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionClearOnFinish(),
		progressbar.OptionThrottle(100*time.Millisecond))
}

// lineInterval is how often a line is written where there is no terminal.
const lineInterval = 10 * time.Second

// A progress counts what is done. It is for one goroutine.
type progress struct {
	console *console
	label   string
	bar     *progressbar.ProgressBar
	done    int64
	next    time.Time // when the next line is due
}

// add counts n more.
func (p *progress) add(n int64) {
	p.done += n
	if p.bar != nil {
		if p.done >= p.bar.GetMax64() {
			p.bar.ChangeMax64(p.done + 1) // the total was a guess, and a full bar would disappear
		}
		_ = p.bar.Set64(p.done) // it can only fail to draw
	} else if now := time.Now(); now.After(p.next) {
		p.next = now.Add(lineInterval)
		p.console.say("%s: %d", p.label, p.done)
	}
}

// end removes the bar.
func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Finish() // it can only fail to draw
	}
}
