//go:build !linux

package sqlite

import "os"

// quietly runs do, with the priority of all else.
func runIdle(do func()) { do() }

// writeOut has the disk write what was written to the file so far, and waits for it.
func flush(file *os.File) error { return file.Sync() }
