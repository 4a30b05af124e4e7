package api

import (
	"encoding/json/jsontext"
	"errors"
	"strconv"
	"strings"

	"orders/shared/order"
)

func (p *draftParser) userID(pointer string, required bool) (err error) {
	p.draft.UserID, err = p.identifier(pointer, required)
	return err
}

func (p *draftParser) clientReference(pointer string, required bool) (err error) {
	if p.json.PeekKind() != jsontext.KindString {
		return p.wrongType(pointer, "must be a string")
	}
	p.draft.ClientReference, err = p.identifier(pointer, required)
	return err
}

// itemIDs reads at most MaxItems entries and passes over the rest.
func (p *draftParser) itemIDs(pointer string, required bool) error {
	if p.json.PeekKind() != jsontext.KindBeginArray {
		return p.missing(pointer, required, "must be an array of integers and strings")
	}
	if _, err := p.json.ReadToken(); err != nil {
		return err
	}
	n := 0
	for ; p.json.PeekKind() != jsontext.KindEndArray; n++ {
		if n >= order.MaxItems {
			if err := p.json.SkipValue(); err != nil {
				return err
			}
			continue
		}
		item, err := p.identifier(pointer+"/"+strconv.Itoa(n), false)
		if err != nil {
			return err
		}
		p.draft.ItemIDs = append(p.draft.ItemIDs, item)
	}
	if n == 0 || n > order.MaxItems {
		p.fault(pointer, "invalid_length", "must have 1 to 100 entries")
	}
	_, err := p.json.ReadToken()
	return err
}

// identifier reads an integer, which is kept digit for digit, or a string. As in JSON
// Schema, 5.0 is the integer 5.
func (p *draftParser) identifier(pointer string, required bool) (string, error) {
	const rule = "must be an integer or a string"
	switch p.json.PeekKind() {
	case jsontext.KindString:
		token, err := p.json.ReadToken()
		if err != nil {
			return "", err
		}
		return token.String(), p.check(pointer, order.CheckText(token.String()))
	case jsontext.KindNumber:
		digits, err := p.number()
		if err != nil {
			return "", err
		}
		if whole, fraction, _ := strings.Cut(digits, "."); strings.Trim(fraction, "0") == "" {
			digits = whole
		}
		if strings.ContainsAny(digits, ".eE") {
			p.fault(pointer, "wrong_type", rule)
		}
		return digits, p.check(pointer, order.CheckText(digits))
	default:
		return "", p.missing(pointer, required, rule)
	}
}

func (p *draftParser) totalAmount(pointer string, required bool) error {
	var broken error
	switch p.json.PeekKind() {
	case jsontext.KindString:
		token, err := p.json.ReadToken()
		if err != nil {
			return err
		}
		p.draft.TotalAmount, broken = order.ParseAmount(token.String())
	case jsontext.KindNumber:
		digits, err := p.number()
		if err != nil {
			return err
		}
		p.draft.TotalAmount, broken = order.ParseAmountNumber(digits)
	default:
		return p.missing(pointer, required, "must be a number or a string")
	}
	return p.check(pointer, broken)
}

func (p *draftParser) status(pointer string, _ bool) error {
	if p.json.PeekKind() != jsontext.KindString {
		return p.wrongType(pointer, "must be a string")
	}
	token, err := p.json.ReadToken()
	if err != nil {
		return err
	}
	status, ok := order.ParseStatus(token.String())
	if !ok {
		p.fault(pointer, "invalid_status", "must be Pending, Processing or Completed")
	}
	p.draft.InitialStatus = status
	return nil
}

// number reads a number as it is written. One that is beyond every double is
// not JSON that others could read (RFC 8259, section 6).
func (p *draftParser) number() (string, error) {
	token, err := p.json.ReadToken()
	if err != nil {
		return "", err
	}
	digits := token.String()
	if strings.ContainsAny(digits, "eE") {
		if _, err := strconv.ParseFloat(digits, 64); err != nil {
			return "", errTooBig
		}
	}
	return digits, nil
}

var errTooBig = errors.New("a number is too large for any reader")

// missing notes a value of the wrong type, which null is only where the field may
// be left out.
func (p *draftParser) missing(pointer string, required bool, rule string) error {
	if required && p.json.PeekKind() == jsontext.KindNull {
		p.fault(pointer, "required", "must not be null")
		return p.json.SkipValue()
	}
	return p.wrongType(pointer, rule)
}

// check notes a rule of the domain's that a value breaks. It returns nil, for its
// callers to return.
func (p *draftParser) check(pointer string, broken error) error {
	if broken == nil {
		return nil
	}
	for _, rule := range rules {
		if errors.Is(broken, rule.err) {
			p.fault(pointer, rule.code, rule.err.Error())
		}
	}
	return nil
}

var rules = []struct {
	err  error
	code string
}{
	{order.ErrLength, "invalid_length"},
	{order.ErrCharacters, "invalid_characters"},
	{order.ErrNotDecimal, "invalid_amount"},
	{order.ErrOutOfRange, "out_of_range"},
	{order.ErrPrecision, "precision"},
}
