package api

import (
	"bytes"
	"encoding/json/jsontext"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"orders/shared/order"
)

// A draftParser reads the body of a create, token by token, because it is to
// find all faults and not only the first. The syntax is encoding/json/v2's:
// strict UTF-8, exact names.
type draftParser struct {
	body   bytes.Buffer
	json   *jsontext.Decoder
	draft  order.Draft
	faults faults
}

// maxFaults bounds what is answered to a body of nothing but faults.
const maxFaults = 200

const fieldCount = 5

// fields are the members of the body in the order in which missing ones are
// reported.
var fields = [fieldCount]struct {
	name     string
	required bool
	parse    func(p *draftParser, pointer string, required bool) error
}{
	{"user_id", true, (*draftParser).userID},
	{"item_ids", true, (*draftParser).itemIDs},
	{"total_amount", true, (*draftParser).totalAmount},
	{"order_id", false, (*draftParser).clientReference},
	{"status", false, (*draftParser).status},
}

// parse returns the draft, or what is wrong with it. A body that is not JSON has
// that one fault.
func (p *draftParser) parse() (order.Draft, faults) {
	p.draft, p.faults = order.Draft{}, nil
	if !utf8.Valid(p.body.Bytes()) {
		return order.Draft{}, faults{bodyFault("invalid_utf8", "must be UTF-8")}
	}
	p.json.Reset(&p.body, jsontext.AllowDuplicateNames(true)) // told as faults of ours
	err := p.document()
	if err != nil {
		return order.Draft{}, faults{bodyFault("invalid_json", syntaxDetail(err))}
	}
	return p.draft, p.faults
}

// syntaxDetail says what is wrong and where, in words of JSON alone.
func syntaxDetail(err error) string {
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return "must be one JSON document (RFC 8259): " + syntax.Err.Error() +
			" at byte " + strconv.FormatInt(syntax.ByteOffset, 10)
	}
	return "must be one JSON document (RFC 8259): " + err.Error()
}

// document reads the one value that the body is to hold. Its error, like that of
// all methods that it calls, is one of syntax and ends the reading.
func (p *draftParser) document() error {
	if p.json.PeekKind() != jsontext.KindBeginObject {
		if err := p.wrongType("", "must be an object"); err != nil {
			return err
		}
	} else if err := p.object(); err != nil {
		return err
	}
	_, err := p.json.ReadToken()
	switch {
	case err == nil:
		return errTrailing
	case errors.Is(err, io.EOF):
		return nil
	default:
		return err
	}
}

var errTrailing = errors.New("something follows the document")

func (p *draftParser) object() error {
	if _, err := p.json.ReadToken(); err != nil {
		return err
	}
	var seen [fieldCount]bool
	for p.json.PeekKind() != jsontext.KindEndObject {
		name, err := p.json.ReadToken()
		if err != nil {
			return err
		}
		if err := p.member(name.String(), seen[:]); err != nil {
			return err
		}
	}
	for i, f := range fields {
		if f.required && !seen[i] {
			p.fault("/"+f.name, "required", "is missing")
		}
	}
	_, err := p.json.ReadToken()
	return err
}

// member reads one member's value.
func (p *draftParser) member(name string, seen []bool) error {
	for i, f := range fields {
		if f.name != name {
			continue
		}
		if seen[i] {
			p.fault("/"+name, "duplicate_field", "is given more than once")
			return p.json.SkipValue()
		}
		seen[i] = true
		return f.parse(p, "/"+name, f.required)
	}
	p.fault(pointerTo(name), "unknown_field", "is not a field of an order")
	return p.json.SkipValue()
}

// pointerTo is the RFC 6901 pointer to a member of the client's naming, cut if
// it is long.
func pointerTo(name string) string {
	if len(name) > 4*order.MaxTextLength {
		name = strings.ToValidUTF8(name[:4*order.MaxTextLength], "") + "…"
	}
	return "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

func (p *draftParser) fault(pointer, code, detail string) {
	if len(p.faults) < maxFaults {
		p.faults = append(p.faults, fault{Pointer: &pointer, Code: code, Detail: detail})
	}
}

// wrongType notes that a value is of the wrong type, and skips it.
func (p *draftParser) wrongType(pointer, detail string) error {
	p.fault(pointer, "wrong_type", detail)
	return p.json.SkipValue()
}

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
