//go:build !unix

package sqlite

import "os"

// keepOwner does nothing where files have no such owners.
func keepOwner(*os.File, string) error { return nil }
