package api

import (
	"bytes"
	"encoding/json/jsontext"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"

	"orders/shared/order"
)

// maxBody is the largest body that create reads, in bytes.
const maxBody = 64 << 10

// create answers POST /api/orders/create/.
func (a *api) create(r *http.Request) (response, error) {
	draft, err := readDraft(r)
	if err != nil {
		return response{}, err
	}
	o, replayed, err := a.Orders.Create(r.Context(), draft)
	if err != nil {
		return response{orderID: draft.Key}, err
	}
	// The status is the one asked for, also in a replay: a retry gets the answer
	// that it has missed, not the news.
	res := answerStatus(http.StatusCreated, o.ID, draft.InitialStatus)
	res.header = append(res.header, headerField{"Location", orderReference(sentPath(r), o.ID)})
	if replayed {
		res.header = append(res.header, headerField{"Idempotency-Replayed", "true"})
	}
	return res, nil
}

// orderReference is the address of an order, relative to the path of the create that made it,
// as it was sent: a client resolves it under whatever prefix a proxy has added. It goes up to the
// last place in the path that lies above the order, and down from there. Empty segments count for
// RFC 3986, and mean nothing here (see cleanPath).
func orderReference(sent string, id order.ID) string {
	if sent == "/api/orders/create/" {
		return "../" + string(id) + "/"
	}
	down, up := "api/orders/", 0
	for segment := range strings.SplitAfterSeq(mergeBase(sent), "/") {
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

// mergeBase is what remains of a path when a client resolves a relative reference against it: the
// segments up to the last slash, without the first slash and without dot segments. See RFC 3986,
// sections 5.2.3 and 5.2.4.
func mergeBase(sent string) string {
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

// readDraft reads and checks everything that a create says.
func readDraft(r *http.Request) (order.Draft, error) {
	if err := checkBodyType(r.Header); err != nil {
		return order.Draft{}, err
	}
	key, badKey := idempotencyKey(r.Header)
	p := draftParsers.Get().(*draftParser)
	defer draftParsers.Put(p)
	if err := p.read(r); err != nil {
		return order.Draft{}, err
	}
	draft, found := p.parse()
	if badKey != nil {
		found = append(found, *badKey)
	}
	if len(found) > 0 {
		return order.Draft{}, found
	}
	draft.Key = key
	draft.SetFingerprint()
	return draft, nil
}

// checkBodyType reports whether the headers announce what create reads:
// JSON in UTF-8 (RFC 8259), as it is.
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
	if err != nil || media != "application/json" || hasCharset && !isUTF8(charset) {
		return errMediaType
	}
	return nil
}

// isUTF8 reports whether a charset is UTF-8, which many clients spell without the hyphen.
func isUTF8(charset string) bool {
	return strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "utf8")
}

// idempotencyKey returns the id that the Idempotency-Key header names, "" without
// one. The key may be quoted; a comma, which would join two headers, is not part of any.
func idempotencyKey(h http.Header) (order.ID, *fault) {
	values := h["Idempotency-Key"]
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	if len(key) >= 2 && key[0] == '"' && key[len(key)-1] == '"' {
		key = key[1 : len(key)-1]
	}
	if len(values) > 1 || !visibleASCII(key, 255) || strings.Contains(key, ",") {
		return "", &fault{
			Header: "Idempotency-Key", Code: "invalid_idempotency_key",
			Detail: "must be given once and have 1 to 255 visible ASCII characters, none of them a comma",
		}
	}
	const caller = "" // there is no authorizer that would tell one from another
	return order.KeyedID(caller, key), nil
}

// draftParsers keeps the buffers of requests that are done.
var draftParsers = sync.Pool{New: func() any {
	return &draftParser{json: new(jsontext.Decoder)}
}}

// read takes in the body, and no more of it than is allowed.
func (p *draftParser) read(r *http.Request) error {
	if r.ContentLength > maxBody {
		return errTooLarge
	}
	p.body.Reset()
	n, err := p.body.ReadFrom(io.LimitReader(r.Body, maxBody+1))
	switch {
	case n > maxBody:
		return errTooLarge
	case errors.Is(err, io.ErrUnexpectedEOF):
		return faults{bodyFault("incomplete_body", "ended before the length that was announced")}
	case err != nil:
		return fmt.Errorf("%w: read the body: %w", errBodyLost, err)
	case len(bytes.Trim(p.body.Bytes(), " \t\r\n")) == 0:
		return faults{bodyFault("empty_body", "must be a JSON object")}
	default:
		return nil
	}
}

func bodyFault(code, detail string) fault { return fault{Pointer: new(""), Code: code, Detail: detail} }
