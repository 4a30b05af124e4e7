package api

import (
	"bytes"
	"encoding/json/jsontext"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"orders/shared/order"
)

// A bodyParser parses the body of a request. It reads token by token, to find all violations and not
// only the first. The syntax is that of encoding/json/v2: strict UTF-8, case-sensitive names.
type bodyParser struct {
	body       bytes.Buffer
	json       *jsontext.Decoder
	fields     []field
	draft      order.Draft             // what draftFields set
	transition order.TransitionRequest // what transitionFields set
	violations violations
}

// A field is a member that a body can have.
type field struct {
	name     string
	required bool
	parse    func(p *bodyParser, pointer string, required bool) error
}

// maxFields is the most members that a body can have.
const maxFields = 5

// maxViolations limits the size of the response.
const maxViolations = 200

// draftFields are the members of the body of a create. Missing ones are reported in this order.
var draftFields = []field{
	{"user_id", true, (*bodyParser).userID},
	{"item_ids", true, (*bodyParser).itemIDs},
	{"total_amount", true, (*bodyParser).totalAmount},
	{"order_id", false, (*bodyParser).clientReference},
	{"status", false, (*bodyParser).status},
}

// parse returns the violations of a body. A body that is not JSON has only that violation.
func (p *bodyParser) parse(fields []field) violations {
	p.fields, p.draft, p.transition, p.violations = fields, order.Draft{}, order.TransitionRequest{}, nil
	if !utf8.Valid(p.body.Bytes()) {
		return violations{bodyViolation("invalid_utf8", "must be UTF-8")}
	}
	p.json.Reset(&p.body, jsontext.AllowDuplicateNames(true)) // reported by member
	if err := p.document(); err != nil {
		return violations{bodyViolation("invalid_json", syntaxDetail(err))}
	}
	return p.violations
}

// syntaxDetail describes a syntax error and its place, without words of the Go decoder.
func syntaxDetail(err error) string {
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return "must be one JSON document (RFC 8259): " + syntax.Err.Error() +
			" at byte " + strconv.FormatInt(syntax.ByteOffset, 10)
	}
	return "must be one JSON document (RFC 8259): " + err.Error()
}

// document parses the body as one value. Its error, like that of all methods that it calls, is a
// syntax error, after which parsing ends.
func (p *bodyParser) document() error {
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

func (p *bodyParser) object() error {
	if _, err := p.json.ReadToken(); err != nil {
		return err
	}
	var seen [maxFields]bool
	for p.json.PeekKind() != jsontext.KindEndObject {
		name, err := p.json.ReadToken()
		if err != nil {
			return err
		}
		if err := p.member(name.String(), seen[:]); err != nil {
			return err
		}
	}
	for i, f := range p.fields {
		if f.required && !seen[i] {
			p.report("/"+f.name, "required", "is missing")
		}
	}
	_, err := p.json.ReadToken()
	return err
}

// member parses the value of one member.
func (p *bodyParser) member(name string, seen []bool) error {
	for i, f := range p.fields {
		if f.name != name {
			continue
		}
		if seen[i] {
			p.report("/"+name, "duplicate_field", "is given more than once")
			return p.json.SkipValue()
		}
		seen[i] = true
		return f.parse(p, "/"+name, f.required)
	}
	p.report(newPointer(name), "unknown_field", "is not a field of this request")
	return p.json.SkipValue()
}

// newPointer returns the RFC 6901 pointer to a member that the client has named. A long name is
// truncated.
func newPointer(name string) string {
	if len(name) > 4*order.MaxTextLength {
		name = strings.ToValidUTF8(name[:4*order.MaxTextLength], "") + "…"
	}
	return "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// report adds a violation.
func (p *bodyParser) report(pointer, code, detail string) {
	if len(p.violations) < maxViolations {
		p.violations = append(p.violations, violation{Pointer: &pointer, Code: code, Detail: detail})
	}
}

// wrongType reports a value of the wrong type, and skips it.
func (p *bodyParser) wrongType(pointer, detail string) error {
	p.report(pointer, "wrong_type", detail)
	return p.json.SkipValue()
}

func (p *bodyParser) userID(pointer string, required bool) (err error) {
	p.draft.UserID, err = p.identifier(pointer, required)
	return err
}

func (p *bodyParser) clientReference(pointer string, required bool) (err error) {
	if p.json.PeekKind() != jsontext.KindString {
		return p.wrongType(pointer, "must be a string")
	}
	p.draft.ClientReference, err = p.identifier(pointer, required)
	return err
}

// itemIDs parses MaxItems entries and skips the rest.
func (p *bodyParser) itemIDs(pointer string, required bool) error {
	if p.json.PeekKind() != jsontext.KindBeginArray {
		return p.wrongTypeOrNull(pointer, required, "must be an array of integers and strings")
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
		p.report(pointer, "invalid_length", "must have 1 to 100 entries")
	}
	_, err := p.json.ReadToken()
	return err
}

// identifier parses a string, or an integer, whose digits it returns unchanged. As in JSON Schema,
// 5.0 is the integer 5.
func (p *bodyParser) identifier(pointer string, required bool) (string, error) {
	const rule = "must be an integer or a string"
	switch p.json.PeekKind() {
	case jsontext.KindString:
		token, err := p.json.ReadToken()
		if err != nil {
			return "", err
		}
		return token.String(), p.checkRule(pointer, order.CheckText(token.String()))
	case jsontext.KindNumber:
		digits, err := p.number()
		if err != nil {
			return "", err
		}
		if whole, fraction, _ := strings.Cut(digits, "."); strings.Trim(fraction, "0") == "" {
			digits = whole
		}
		if strings.ContainsAny(digits, ".eE") {
			p.report(pointer, "wrong_type", rule)
		}
		return digits, p.checkRule(pointer, order.CheckText(digits))
	default:
		return "", p.wrongTypeOrNull(pointer, required, rule)
	}
}

func (p *bodyParser) totalAmount(pointer string, required bool) error {
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
		return p.wrongTypeOrNull(pointer, required, "must be a number or a string")
	}
	return p.checkRule(pointer, broken)
}

func (p *bodyParser) status(pointer string, _ bool) error {
	if p.json.PeekKind() != jsontext.KindString {
		return p.wrongType(pointer, "must be a string")
	}
	token, err := p.json.ReadToken()
	if err != nil {
		return err
	}
	status, ok := order.ParseStatus(token.String())
	if !ok || !slices.Contains(order.InitialStatuses, status) {
		p.report(pointer, "invalid_status", "must be Pending, Processing or Completed")
	}
	p.draft.InitialStatus = status
	return nil
}

// number returns a number as it is written. It refuses a number that is out of the range of a
// double, because other JSON parsers could not read it (RFC 8259, section 6).
func (p *bodyParser) number() (string, error) {
	token, err := p.json.ReadToken()
	if err != nil {
		return "", err
	}
	digits := token.String()
	if strings.ContainsAny(digits, "eE") {
		if _, err := strconv.ParseFloat(digits, 64); err != nil {
			return "", errNumberTooLarge
		}
	}
	return digits, nil
}

var errNumberTooLarge = errors.New("a number is too large for any reader")

// wrongTypeOrNull reports a value of the wrong type. Null in a required field is reported as a
// missing value instead.
func (p *bodyParser) wrongTypeOrNull(pointer string, required bool, rule string) error {
	if required && p.json.PeekKind() == jsontext.KindNull {
		p.report(pointer, "required", "must not be null")
		return p.json.SkipValue()
	}
	return p.wrongType(pointer, rule)
}

// checkRule reports the rule of the domain that a value breaks, if any. It always returns nil, as a
// convenience for its callers.
func (p *bodyParser) checkRule(pointer string, broken error) error {
	if broken == nil {
		return nil
	}
	for _, rule := range rules {
		if errors.Is(broken, rule.err) {
			p.report(pointer, rule.code, rule.err.Error())
		}
	}
	return nil
}

var rules = []struct {
	err  error
	code string
}{
	{order.ErrLength, "invalid_length"},
	{order.ErrReason, "invalid_length"},
	{order.ErrCharacters, "invalid_characters"},
	{order.ErrNotDecimal, "invalid_amount"},
	{order.ErrOutOfRange, "out_of_range"},
	{order.ErrPrecision, "precision"},
}
