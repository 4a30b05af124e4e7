//go:build !unix

package sqlite

// quietly runs do, with the priority of all else.
func quietly(do func()) { do() }
