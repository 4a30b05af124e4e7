package api

import (
	"bytes"
	"encoding/json/jsontext"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strings"
	"sync"

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
		return order.Draft{}, violations{bodyViolation("empty_body", "must be a JSON object")}
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
	if err != nil || media != "application/json" || hasCharset && !utf8Name.MatchString(charset) {
		return errMediaType
	}
	return nil
}

// utf8Name matches UTF-8 as clients spell it, many of them without the hyphen.
var utf8Name = regexp.MustCompile(`^(?i:utf-?8)$`)

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

// bodyParsers reuses parsers and their buffers.
var bodyParsers = sync.Pool{New: func() any {
	return &bodyParser{json: new(jsontext.Decoder)}
}}

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

func bodyViolation(code, detail string) violation {
	return violation{Pointer: new(""), Code: code, Detail: detail}
}
