// Package transition is what the commands cancel, complete, fail and retry of orders and ordersctl have
// in common: their arguments, and the call of a running API.
package transition

import (
	"bytes"
	"context"
	"encoding/json/v2"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"orders/shared/order"
)

// Call is the arguments of a command, for kong.
type Call struct {
	OrderID string `arg:"" name:"order-id" help:"The order."`
	Version int    `placeholder:"N" help:"The version of the order that you have seen: if it has another, nothing is changed."`
	Reason  string `placeholder:"TEXT" help:"Why, at most 500 characters. The history of the order keeps it."`
}

// ValidURL reports whether a text can be the address of an API.
func ValidURL(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// timeout is longer than API Gateway waits for a function, which is 30 seconds.
const timeout = 35 * time.Second

// Do asks the API at an address for a transition, and writes the status that the order has then. If
// the API refuses, the error has its reasons, a line each. Do may be called again: what was done
// before is done once.
func (c Call) Do(ctx context.Context, address, transition string, stdout io.Writer) error {
	if _, err := order.ParseID(c.OrderID); err != nil {
		return err
	}
	target, err := url.JoinPath(address, "api/orders", c.OrderID, transition, "/")
	if err != nil {
		return err
	}
	body, err := json.Marshal(struct {
		Reason  string `json:"reason,omitzero"`
		Version int    `json:"version,omitzero"`
	}{c.Reason, c.Version})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Close = true
	req.Header.Set("Content-Type", "application/json")
	res, err := (&http.Client{Timeout: timeout}).Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	status, err := readResponse(res)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, status)
	return err
}

// maxResponse is far more than a response of the API has.
const maxResponse = 1 << 20

// readResponse returns the status of the order, or the problem as an error.
func readResponse(res *http.Response) (string, error) {
	content, err := io.ReadAll(io.LimitReader(res.Body, maxResponse))
	if err != nil {
		return "", err
	}
	if res.StatusCode == http.StatusOK {
		var o struct {
			Status string `json:"status"`
		}
		if err := json.Unmarshal(content, &o); err != nil || o.Status == "" {
			return "", fmt.Errorf("%s is not the address of an API of orders", res.Request.URL)
		}
		return o.Status, nil
	}
	var problem struct {
		Detail string `json:"detail"`
		Errors []struct {
			Pointer string `json:"pointer"`
			Detail  string `json:"detail"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(content, &problem); err != nil || problem.Detail == "" {
		return "", fmt.Errorf("%s answers %s", res.Request.URL, res.Status)
	}
	var reasons []error
	for _, e := range problem.Errors {
		reasons = append(reasons, fmt.Errorf("%s %s", e.Pointer, e.Detail))
	}
	if reasons == nil {
		return "", errors.New(problem.Detail)
	}
	return "", errors.Join(reasons...)
}
