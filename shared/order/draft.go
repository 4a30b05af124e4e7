package order

import (
	"crypto/sha256"
	"encoding/binary"
	"unicode"
	"unicode/utf8"
)

// Limits of a draft, in characters and entries.
const (
	MaxTextLength = 100
	MaxItems      = 100
)

// Details is what a client says of an order. It never changes.
type Details struct {
	// ClientReference is the client's own name for the order, empty if it gave none.
	ClientReference string
	UserID          string
	// ItemIDs may name an item more than once: that is a quantity.
	ItemIDs     []string
	TotalAmount Amount
	// Fingerprint is the draft's, see Draft.SetFingerprint.
	Fingerprint Fingerprint
}

// A Draft is an order as a client asks for it: checked, but not yet accepted.
type Draft struct {
	Details
	// Key is the id that the request's idempotency key names, empty without a
	// key. See KeyedID.
	Key ID
	// InitialStatus is the status in which the order begins. It is Pending but
	// for an order that another system had begun.
	InitialStatus Status
}

// A Fingerprint is the SHA-256 of a parsed request. Two requests have the same
// one exactly if they ask for the same order, however they are written.
type Fingerprint [sha256.Size]byte

// SetFingerprint sets the fingerprint from all that the client asks for, but for the key.
//
// Stored orders keep the fingerprint of the version that took them, so a request keeps
// its own in every later version. A field that is added counts only when it is set, and
// behind a number that is greater than the length of any text, which tells it from an
// item.
func (d *Draft) SetFingerprint() {
	var space [512]byte
	b := append(space[:0], byte(d.InitialStatus))
	b = binary.AppendVarint(b, int64(d.TotalAmount))
	b = appendText(b, d.ClientReference)
	b = appendText(b, d.UserID)
	for _, item := range d.ItemIDs {
		b = appendText(b, item)
	}
	d.Fingerprint = sha256.Sum256(b)
}

// appendText appends s with its length, so that no two lists of texts look alike.
func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// CheckText reports whether s may be an identifier of the client's: 1 to 100
// visible characters, without a space at either end. It returns ErrLength or
// ErrCharacters, or nil.
func CheckText(s string) error {
	if n := utf8.RuneCountInString(s); n == 0 || n > MaxTextLength {
		return ErrLength
	}
	first, _ := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	if unicode.IsSpace(first) || unicode.IsSpace(last) {
		return ErrCharacters
	}
	for _, r := range s {
		if invisible(r) {
			return ErrCharacters
		}
	}
	return nil
}

// invisible reports whether r shows nothing when printed, or changes how its
// neighbours are shown: what lets two different names look the same. Letters of
// every script, combining marks and emoji with their variation selectors pass;
// the joiner inside some emoji does not.
func invisible(r rune) bool {
	const brailleBlank = '\u2800'
	if ' ' <= r && r <= '~' {
		return false
	}
	return r == brailleBlank || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp,
		unicode.Noncharacter_Code_Point, unicode.Other_Default_Ignorable_Code_Point)
}
