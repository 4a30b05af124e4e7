package api

import (
	"encoding/json/jsontext"
	"net/http"
	"slices"
	"strconv"

	"orders/shared/order"
)

// transition returns the handler of POST /api/orders/{order_id}/cancel/ and the like.
func (a *api) transition(t order.Transition) handler {
	byVersion := t == order.Retry || a.External && t != order.Cancel
	fields := []field{
		{"version", byVersion, (*bodyParser).version},
		{"reason", t == order.Fail, (*bodyParser).reason},
	}
	return func(r *http.Request) (response, error) {
		id, err := order.ParseID(r.PathValue("order_id"))
		if err != nil {
			return response{}, err
		}
		request, err := readTransition(r, fields)
		if err != nil {
			return response{orderID: id}, err
		}
		request.Transition = t
		o, err := a.Orders.Transition(r.Context(), id, request)
		if err != nil {
			return response{orderID: id}, err
		}
		return newStatusResponse(http.StatusOK, o.ID, o.Status), nil
	}
}

// readTransition reads and checks the body of a transition, which may be empty if no field is
// required.
func readTransition(r *http.Request, fields []field) (order.TransitionRequest, error) {
	p := bodyParsers.Get().(*bodyParser)
	defer bodyParsers.Put(p)
	if err := p.read(r); err != nil {
		return order.TransitionRequest{}, err
	}
	if p.isEmpty() {
		if slices.ContainsFunc(fields, func(f field) bool { return f.required }) {
			return order.TransitionRequest{}, emptyBody
		}
		return order.TransitionRequest{}, nil
	}
	if err := checkBodyType(r.Header); err != nil {
		return order.TransitionRequest{}, err
	}
	if all := p.parse(fields); len(all) > 0 {
		return order.TransitionRequest{}, all
	}
	return p.transition, nil
}

// maxVersion is the greatest version that a request may have. No order has so many transitions.
const maxVersion = 1_000_000_000

func (p *bodyParser) version(pointer string) {
	const rule = "must be an integer from 1 to 1000000000"
	if p.json.PeekKind() != jsontext.KindNumber {
		p.wrongType(pointer, rule)
		return
	}
	n, _ := strconv.Atoi(p.integer()) // out of the range for whatever is not an integer
	if n < 1 || n > maxVersion {
		p.report(pointer, "invalid_version", rule)
	}
	p.transition.Version = n
}

func (p *bodyParser) reason(pointer string) {
	if p.json.PeekKind() != jsontext.KindString {
		p.wrongType(pointer, "must be a string")
		return
	}
	p.transition.Reason = p.next()
	p.checkRule(pointer, order.CheckReason(p.transition.Reason))
}
