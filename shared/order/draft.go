package order

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a draft, in characters and entries.
const (
	MaxTextLength = 100
	MaxItems      = 100
)

// Details are the client's part of an order. They never change.
type Details struct {
	// ClientReference is the client's own name for the order, empty if it gave none.
	ClientReference string
	UserID          string
	// ItemIDs may repeat an item: that is its quantity.
	ItemIDs     []string
	TotalAmount Amount
	// Fingerprint is set by Draft.SetFingerprint.
	Fingerprint Fingerprint
}

// A Draft is an order that a client asks for: checked, and not yet stored.
type Draft struct {
	Details
	// Key is the KeyedID of the request's idempotency key, empty without a key.
	Key ID
	// InitialStatus is the status in which the order begins: Pending, or a later one if the order
	// is imported from a system that has already processed it so far.
	InitialStatus Status
}

// A Fingerprint is the SHA-256 of a parsed request. Two requests have the same fingerprint exactly
// if they ask for the same order, however their JSON is written.
type Fingerprint [sha256.Size]byte

// SetFingerprint computes the fingerprint from all fields but the key.
//
// Stored orders keep the fingerprint that an earlier version computed, so a request must have the
// same fingerprint in every later version. If a field is added, hash it only when it is set, and
// write a number before it that is greater than the length of any text: no item begins with such a
// number.
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

// appendText appends the length of s and s, so that two different lists of texts never yield the
// same bytes.
func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// The rules for a value in a request. The HTTP interface sends the texts to clients.
var (
	ErrLength     = errors.New("must have 1 to 100 characters")
	ErrReason     = errors.New("must have 1 to 500 characters")
	ErrCharacters = errors.New("must have visible characters only, and no space at either end")
	ErrNotDecimal = errors.New("must be a decimal number without sign or exponent")
	ErrOutOfRange = errors.New("must be from 0 to 99999999.99")
	ErrPrecision  = errors.New("must have at most 2 decimal places")
)

// CheckText returns nil if s is allowed as an identifier that a client chooses: 1 to 100 visible
// characters without a space at either end. Otherwise it returns ErrLength or ErrCharacters.
func CheckText(s string) error {
	if n := utf8.RuneCountInString(s); n == 0 || n > MaxTextLength {
		return ErrLength
	}
	return checkCharacters(s)
}

// CheckReason is CheckText for the reason of a TransitionRequest: 1 to 500 characters. Otherwise it
// returns ErrReason or ErrCharacters.
func CheckReason(s string) error {
	if n := utf8.RuneCountInString(s); n == 0 || n > MaxReasonLength {
		return ErrReason
	}
	return checkCharacters(s)
}

func checkCharacters(s string) error {
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

// invisible reports whether r prints nothing, or changes how its neighbors are printed. With such
// characters two different names can look the same. Letters of every script, combining marks and
// emoji with their variation selectors are visible; the joiner inside some emoji is not.
func invisible(r rune) bool {
	const brailleBlank = '\u2800'
	if ' ' <= r && r <= '~' {
		return false
	}
	return r == brailleBlank || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp,
		unicode.Noncharacter_Code_Point, unicode.Other_Default_Ignorable_Code_Point)
}

// An Amount is an exact sum of money in cents (hundredths of the currency unit).
type Amount int64

// MaxAmount is the largest amount of an order: 99999999.99.
const MaxAmount Amount = 99_999_999_99

// maxDigits is the number of digits of MaxAmount in cents. All of them are nines.
const maxDigits = 10

// ParseAmount parses a number in the syntax of JSON, but without an exponent: "1650.78", "10",
// "0.5". It uses no float, so nothing is rounded. Zeros at the end of the fraction do not count as
// decimal places.
//
// It returns ErrNotDecimal if s is not such a number, ErrOutOfRange if the number is negative (also
// "-0") or above MaxAmount, and ErrPrecision if it has more than two decimal places.
func ParseAmount(s string) (Amount, error) {
	whole, fraction, negative, ok := splitDecimal(s)
	if !ok {
		return 0, ErrNotDecimal
	}
	fraction = strings.TrimRight(fraction, "0")
	units, err := strconv.ParseInt(whole, 10, 64)
	if negative || err != nil || units > int64(MaxAmount/100) {
		return 0, ErrOutOfRange
	}
	if len(fraction) > 2 {
		return 0, ErrPrecision
	}
	cents, _ := strconv.ParseInt((fraction + "00")[:2], 10, 64)
	return Amount(units*100 + cents), nil
}

// ParseAmountNumber is ParseAmount for any JSON number, also with an exponent: "1.0E7", "1.5E+3".
// The value is exact, and a huge exponent costs no more time or memory than a small one.
func ParseAmountNumber(s string) (Amount, error) {
	at := strings.IndexAny(s, "eE")
	if at < 0 {
		return ParseAmount(s)
	}
	whole, fraction, negative, ok := splitDecimal(s[:at])
	exponent, err := strconv.ParseInt(s[at+1:], 10, 64) // the nearest int64 if out of range
	if !ok || errors.Is(err, strconv.ErrSyntax) {
		return 0, ErrNotDecimal
	}
	coefficient := strings.TrimLeft(whole+fraction, "0")
	significant := strings.TrimRight(coefficient, "0")
	// The amount in cents is the significant digits, followed by this number of zeros. The bounds of
	// the exponent prevent an overflow of the sum; they are far beyond any length of s.
	zeros := min(max(exponent, -1<<40), 1<<40) + 2 - int64(len(fraction)) + int64(len(coefficient)-len(significant))
	switch {
	case negative:
		return 0, ErrOutOfRange
	case significant == "":
		return 0, nil
	case int64(len(significant))+zeros > maxDigits:
		return 0, ErrOutOfRange
	case zeros < 0:
		return 0, ErrPrecision
	}
	cents, _ := strconv.ParseInt(significant+strings.Repeat("0", int(zeros)), 10, 64)
	return Amount(cents), nil
}

// splitDecimal splits a number in the syntax of JSON without an exponent.
func splitDecimal(s string) (whole, fraction string, negative, ok bool) {
	unsigned, negative := strings.CutPrefix(s, "-")
	whole, fraction, hasPoint := strings.Cut(unsigned, ".")
	ok = isDigits(whole) && (len(whole) == 1 || whole[0] != '0') && (!hasPoint || isDigits(fraction))
	return whole, fraction, negative, ok
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// String returns the amount with two decimal places, such as "1650.78".
func (a Amount) String() string {
	return fmt.Sprintf("%d.%02d", a/100, a%100)
}
