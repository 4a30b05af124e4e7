package api

import (
	"bytes"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"orders/shared/order"
)

// maxBody is the largest body that create reads, in bytes.
const maxBody = 64 << 10

// answerStatus says what became of an order. This is the answer that most requests
// get, and neither of its texts holds a character that JSON escapes.
func answerStatus(httpStatus int, id order.ID, s order.Status) response {
	return response{
		status: httpStatus, orderID: id,
		body: []byte(`{"order_id":"` + string(id) + `","status":"` + s.String() + `"}`),
	}
}

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

// answerJSON is the answer that holds v and is about the order of that id.
func answerJSON(id order.ID, v any) (response, error) {
	body, err := json.Marshal(v)
	return response{status: http.StatusOK, body: body, orderID: id}, err
}
