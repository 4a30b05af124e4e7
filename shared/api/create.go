package api

import (
	"bytes"
	"encoding/json/jsontext"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"orders/shared/order"
)

// maxBody is the largest allowed body of a create, in bytes.
const maxBody = 64 << 10

// create handles POST /api/orders/ and POST /api/orders/create/.
func (a *api) create(r *http.Request) (response, error) {
	draft, err := readDraft(r)
	if err != nil {
		return response{}, err
	}
	o, replayed, err := a.Orders.Create(r.Context(), draft)
	if err != nil {
		return response{orderID: draft.Key}, err
	}
	// A replay gets the same response as the first request, even if the order has moved on.
	res := newStatusResponse(http.StatusCreated, o.ID, draft.InitialStatus)
	res.header = append(res.header, headerField{"Location", orderLocation(originalPath(r), o.ID)})
	if replayed {
		res.header = append(res.header, headerField{"Idempotency-Replayed", "true"})
	}
	return res, nil
}

// orderLocation returns a reference to an order, relative to the path of its create. A client
// resolves it against the path that it has sent, with any prefix that a proxy removes. The reference
// goes up to the last common parent of both paths, and down from there. Empty segments of the sent
// path count in RFC 3986, although the service ignores them (see withCleanPath).
func orderLocation(sent string, id order.ID) string {
	if sent == "/api/orders/create/" {
		return "../" + string(id) + "/"
	}
	down, up := "api/orders/", 0
	for segment := range strings.SplitAfterSeq(basePath(sent), "/") {
		switch rest, leads := strings.CutPrefix(down, segment); {
		case segment == "", segment == "/" && up == 0:
		case leads && up == 0:
			down = rest
		default:
			up++
		}
	}
	return strings.Repeat("../", up) + down + string(id) + "/"
}

// basePath returns the part of a path against which a client resolves a relative reference: the
// segments up to the last slash, without the first slash and without dot segments (RFC 3986,
// sections 5.2.3 and 5.2.4).
func basePath(sent string) string {
	base := strings.TrimPrefix(sent[:strings.LastIndexByte(sent, '/')+1], "/")
	if !strings.Contains(sent, "/.") {
		return base
	}
	var kept []byte
	for segment := range strings.SplitAfterSeq(base, "/") {
		switch segment {
		case "./":
		case "../":
			kept = bytes.TrimSuffix(kept, []byte("/"))
			kept = kept[:bytes.LastIndexByte(kept, '/')+1]
		default:
			kept = append(kept, segment...)
		}
	}
	return string(kept)
}

// readDraft reads and checks the request of a create.
func readDraft(r *http.Request) (order.Draft, error) {
	if err := checkBodyType(r.Header); err != nil {
		return order.Draft{}, err
	}
	key, badKey := idempotencyKey(r.Header)
	p := bodyParsers.Get().(*bodyParser)
	defer bodyParsers.Put(p)
	if err := p.read(r); err != nil {
		return order.Draft{}, err
	}
	if p.isEmpty() {
		return order.Draft{}, emptyBody
	}
	if all := append(p.parse(draftFields), badKey...); len(all) > 0 {
		return order.Draft{}, all
	}
	draft := p.draft
	draft.Key = key
	draft.SetFingerprint()
	return draft, nil
}

// checkBodyType returns an error unless the headers announce JSON in UTF-8 (RFC 8259) without a
// content encoding.
func checkBodyType(h http.Header) error {
	for _, encoding := range h["Content-Encoding"] {
		if !strings.EqualFold(encoding, "identity") {
			return errEncoding
		}
	}
	types := h["Content-Type"]
	if len(types) != 1 {
		return errMediaType
	}
	if types[0] == "application/json" {
		return nil
	}
	media, parameters, err := mime.ParseMediaType(types[0])
	charset, hasCharset := parameters["charset"]
	if err != nil || media != "application/json" ||
		hasCharset && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "utf8") { // as many spell it
		return errMediaType
	}
	return nil
}

// idempotencyKey returns the id that belongs to the Idempotency-Key header, "" without the header.
// The key may be quoted. It has no comma, because a proxy joins two headers with one.
func idempotencyKey(h http.Header) (order.ID, violations) {
	values := h["Idempotency-Key"]
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	if len(key) >= 2 && key[0] == '"' && key[len(key)-1] == '"' {
		key = key[1 : len(key)-1]
	}
	if len(values) > 1 || !visibleASCII(key, 255) || strings.Contains(key, ",") {
		return "", violations{{
			Header: "Idempotency-Key", Code: "invalid_idempotency_key",
			Detail: "must be given once and have 1 to 255 visible ASCII characters, none of them a comma",
		}}
	}
	const caller = "" // the service has no authorizer
	return order.KeyedID(caller, key), nil
}

// A bodyParser parses the body of a request. It reads token by token, to find all violations and not
// only the first. The syntax is that of encoding/json/v2: strict UTF-8, case-sensitive names.
type bodyParser struct {
	body       bytes.Buffer
	json       *jsontext.Decoder
	fields     []field
	draft      order.Draft             // what draftFields set
	transition order.TransitionRequest // what the fields of a transition set
	violations violations
	err        error // the first syntax error, after which parsing ends
}

// bodyParsers reuses parsers and their buffers.
var bodyParsers = sync.Pool{New: func() any {
	return &bodyParser{json: new(jsontext.Decoder)}
}}

// maxViolations limits the size of the response.
const maxViolations = 200

// A field is a member that a body can have.
type field struct {
	name     string
	required bool
	parse    func(p *bodyParser, pointer string)
}

// maxFields is the most members that a body can have.
const maxFields = 5

// draftFields are the members of the body of a create. Missing ones are reported in this order.
var draftFields = []field{
	{"user_id", true, (*bodyParser).userID},
	{"item_ids", true, (*bodyParser).itemIDs},
	{"total_amount", true, (*bodyParser).totalAmount},
	{"order_id", false, (*bodyParser).clientReference},
	{"status", false, (*bodyParser).status},
}

// read reads the body, up to maxBody.
func (p *bodyParser) read(r *http.Request) error {
	if r.ContentLength > maxBody {
		return errTooLarge
	}
	p.body.Reset()
	n, err := p.body.ReadFrom(io.LimitReader(r.Body, maxBody+1))
	switch {
	case n > maxBody:
		return errTooLarge
	case errors.Is(err, io.ErrUnexpectedEOF):
		return violations{bodyViolation("incomplete_body", "ended before the length that was announced")}
	case err != nil:
		return fmt.Errorf("%w: read the body: %w", errBodyLost, err)
	default:
		return nil
	}
}

// isEmpty reports whether there is no body, or only white space.
func (p *bodyParser) isEmpty() bool { return len(bytes.Trim(p.body.Bytes(), " \t\r\n")) == 0 }

var emptyBody = violations{bodyViolation("empty_body", "must be a JSON object")}

func bodyViolation(code, detail string) violation {
	return violation{Pointer: new(""), Code: code, Detail: detail}
}

// parse returns the violations of a body. A body that is not JSON has only that violation.
func (p *bodyParser) parse(fields []field) violations {
	p.fields, p.draft, p.transition, p.violations, p.err = fields, order.Draft{}, order.TransitionRequest{}, nil, nil
	if !utf8.Valid(p.body.Bytes()) {
		return violations{bodyViolation("invalid_utf8", "must be UTF-8")}
	}
	p.json.Reset(&p.body, jsontext.AllowDuplicateNames(true)) // reported by member
	if p.json.PeekKind() == jsontext.KindBeginObject {
		p.object()
	} else {
		p.wrongType("", "must be an object")
	}
	if _, err := p.json.ReadToken(); err == nil {
		p.fail(errors.New("something follows the document"))
	} else if !errors.Is(err, io.EOF) {
		p.fail(err)
	}
	if p.err != nil {
		return violations{bodyViolation("invalid_json", syntaxDetail(p.err))}
	}
	return p.violations
}

// fail keeps the first syntax error.
func (p *bodyParser) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// syntaxDetail describes a syntax error and its place, without words of the Go decoder.
func syntaxDetail(err error) string {
	const rule = "must be one JSON document (RFC 8259): "
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return rule + syntax.Err.Error() + " at byte " + strconv.FormatInt(syntax.ByteOffset, 10)
	}
	return rule + err.Error()
}

func (p *bodyParser) object() {
	p.next()
	var seen [maxFields]bool
	for p.until(jsontext.KindEndObject) {
		p.member(p.next(), seen[:])
	}
	for i, f := range p.fields {
		if f.required && !seen[i] {
			p.report("/"+f.name, "required", "is missing")
		}
	}
	p.next()
}

// member parses the value of one member.
func (p *bodyParser) member(name string, seen []bool) {
	for i, f := range p.fields {
		if f.name != name {
			continue
		}
		pointer, again := "/"+name, seen[i]
		seen[i] = true
		switch {
		case again:
			p.report(pointer, "duplicate_field", "is given more than once")
			p.skip()
		case f.required && p.json.PeekKind() == jsontext.KindNull:
			p.report(pointer, "required", "must not be null")
			p.skip()
		default:
			f.parse(p, pointer)
		}
		return
	}
	p.report(newPointer(name), "unknown_field", "is not a field of this request")
	p.skip()
}

// newPointer returns the RFC 6901 pointer to a member that the client has named. A long name is
// truncated.
func newPointer(name string) string {
	if len(name) > 4*order.MaxTextLength {
		name = strings.ToValidUTF8(name[:4*order.MaxTextLength], "") + "…"
	}
	return "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// next reads the next token.
func (p *bodyParser) next() string {
	token, err := p.json.ReadToken()
	p.fail(err)
	return token.String()
}

// until reports whether there is something to parse before the end of an object or array.
func (p *bodyParser) until(end jsontext.Kind) bool {
	return p.err == nil && p.json.PeekKind() != end
}

func (p *bodyParser) skip() { p.fail(p.json.SkipValue()) }

// report adds a violation.
func (p *bodyParser) report(pointer, code, detail string) {
	if len(p.violations) < maxViolations {
		p.violations = append(p.violations, violation{Pointer: &pointer, Code: code, Detail: detail})
	}
}

// wrongType reports a value of the wrong type, and skips it.
func (p *bodyParser) wrongType(pointer, detail string) {
	p.report(pointer, "wrong_type", detail)
	p.skip()
}

func (p *bodyParser) userID(pointer string) { p.draft.UserID = p.identifier(pointer) }

func (p *bodyParser) clientReference(pointer string) {
	if p.json.PeekKind() != jsontext.KindString {
		p.wrongType(pointer, "must be a string")
		return
	}
	p.draft.ClientReference = p.identifier(pointer)
}

// itemIDs parses MaxItems entries and skips the rest.
func (p *bodyParser) itemIDs(pointer string) {
	if p.json.PeekKind() != jsontext.KindBeginArray {
		p.wrongType(pointer, "must be an array of integers and strings")
		return
	}
	p.next()
	n := 0
	for ; p.until(jsontext.KindEndArray); n++ {
		if n < order.MaxItems {
			p.draft.ItemIDs = append(p.draft.ItemIDs, p.identifier(pointer+"/"+strconv.Itoa(n)))
		} else {
			p.skip()
		}
	}
	if n == 0 || n > order.MaxItems {
		p.report(pointer, "invalid_length", "must have 1 to 100 entries")
	}
	p.next()
}

// identifier parses a string, or an integer, whose digits it returns unchanged.
func (p *bodyParser) identifier(pointer string) (text string) {
	const rule = "must be an integer or a string"
	switch p.json.PeekKind() {
	case jsontext.KindString:
		text = p.next()
	case jsontext.KindNumber:
		digits := p.integer()
		if strings.ContainsAny(digits, ".eE") {
			p.report(pointer, "wrong_type", rule)
		}
		text = digits
	default:
		p.wrongType(pointer, rule)
		return ""
	}
	p.checkRule(pointer, order.CheckText(text))
	return text
}

func (p *bodyParser) totalAmount(pointer string) {
	var broken error
	switch p.json.PeekKind() {
	case jsontext.KindString:
		p.draft.TotalAmount, broken = order.ParseAmount(p.next())
	case jsontext.KindNumber:
		p.draft.TotalAmount, broken = order.ParseAmountNumber(p.number())
	default:
		p.wrongType(pointer, "must be a number or a string")
	}
	p.checkRule(pointer, broken)
}

func (p *bodyParser) status(pointer string) {
	if p.json.PeekKind() != jsontext.KindString {
		p.wrongType(pointer, "must be a string")
		return
	}
	status, ok := order.ParseStatus(p.next())
	if !ok || !slices.Contains(order.InitialStatuses, status) {
		p.report(pointer, "invalid_status", "must be Pending, Processing or Completed")
	}
	p.draft.InitialStatus = status
}

// integer returns the digits of an integer, and any other number as it is written. As in JSON Schema,
// 5.0 is the integer 5.
func (p *bodyParser) integer() string {
	digits := p.number()
	if whole, fraction, _ := strings.Cut(digits, "."); strings.Trim(fraction, "0") == "" {
		digits = whole
	}
	return digits
}

// number returns a number as it is written. It refuses a number that is out of the range of a
// double, because other JSON parsers could not read it (RFC 8259, section 6).
func (p *bodyParser) number() string {
	digits := p.next()
	if strings.ContainsAny(digits, "eE") {
		if _, err := strconv.ParseFloat(digits, 64); err != nil {
			p.fail(errors.New("a number is too large for any reader"))
		}
	}
	return digits
}

// checkRule reports the rule of the domain that a value breaks, if any.
func (p *bodyParser) checkRule(pointer string, broken error) {
	for _, rule := range rules {
		if errors.Is(broken, rule.err) {
			p.report(pointer, rule.code, rule.err.Error())
		}
	}
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
