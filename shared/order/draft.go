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

// An Amount is an exact sum of money in hundredths of the currency's unit (cents).
type Amount int64

// MaxAmount is the largest amount that an order can have: 99999999.99.
const MaxAmount Amount = 99_999_999_99

// maxDigits is how many digits MaxAmount has in cents, all of them nines.
const maxDigits = 10

// ParseAmount reads a decimal number written as JSON writes one, but without an
// exponent: "1650.78", "10", "0.5". Zeros at the end of the fraction do not
// count as decimal places. No float is involved, so nothing is rounded.
//
// It returns ErrNotDecimal when s is no such number, ErrOutOfRange when it is
// negative (also "-0") or above MaxAmount, and ErrPrecision when it has more
// than two decimal places.
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

// ParseAmountNumber is ParseAmount for a JSON number, which may have an exponent: "1.0E7",
// "1.5E+3". The value is exact, and a huge exponent costs no more than a small one.
func ParseAmountNumber(s string) (Amount, error) {
	at := strings.IndexAny(s, "eE")
	if at < 0 {
		return ParseAmount(s)
	}
	whole, fraction, negative, ok := splitDecimal(s[:at])
	exponent, err := strconv.ParseInt(s[at+1:], 10, 64) // the nearest int64 if it is out of range
	if !ok || errors.Is(err, strconv.ErrSyntax) {
		return 0, ErrNotDecimal
	}
	coefficient := strings.TrimLeft(whole+fraction, "0")
	significant := strings.TrimRight(coefficient, "0")
	// In cents the amount is the significant digits with that many zeros behind them. The bounds
	// are far beyond any length of s; without them the sum could overflow.
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

// splitDecimal takes apart a number written as JSON writes one without an exponent.
func splitDecimal(s string) (whole, fraction string, negative, ok bool) {
	unsigned, negative := strings.CutPrefix(s, "-")
	whole, fraction, hasPoint := strings.Cut(unsigned, ".")
	ok = digits(whole) && (len(whole) == 1 || whole[0] != '0') && (!hasPoint || digits(fraction))
	return whole, fraction, negative, ok
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// String is the amount with two decimal places, such as "1650.78".
func (a Amount) String() string {
	return fmt.Sprintf("%d.%02d", a/100, a%100)
}
