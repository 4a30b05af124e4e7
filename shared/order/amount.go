package order

import (
	"fmt"
	"strconv"
	"strings"
)

// An Amount is an exact sum of money in hundredths of the currency's unit (cents).
type Amount int64

// MaxAmount is the largest amount that an order can have: 99999999.99.
const MaxAmount Amount = 99_999_999_99

// ParseAmount reads a decimal number written as JSON writes one, but without an
// exponent: "1650.78", "10", "0.5". Zeros at the end of the fraction do not
// count as decimal places. No float is involved, so nothing is rounded.
//
// It returns ErrNotDecimal when s is no such number, ErrOutOfRange when it is
// negative (also "-0") or above MaxAmount, and ErrPrecision when it has more
// than two decimal places.
func ParseAmount(s string) (Amount, error) {
	unsigned, negative := strings.CutPrefix(s, "-")
	whole, fraction, hasPoint := strings.Cut(unsigned, ".")
	if !digits(whole) || len(whole) > 1 && whole[0] == '0' || hasPoint && !digits(fraction) {
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

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// String is the amount with two decimal places, such as "1650.78".
func (a Amount) String() string {
	return fmt.Sprintf("%d.%02d", a/100, a%100)
}
