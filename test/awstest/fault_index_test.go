package awstest_test

import (
	"bytes"
	"encoding/json/v2"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	smithyhttp "github.com/aws/smithy-go/transport/http"

	"orders/shared/order"
	"orders/test/awstest"
)

// F21, I12: the index lags behind the table.
func TestAListThatLagsShowsNothingTwiceAndNothingThatIsNot(t *testing.T) {
	h := openFaulty(t)
	h.create(10)
	old := h.list(1000)
	for !h.crowded(old) {
		h.create(5)
	}
	isNew := func(key string) bool {
		return !slices.ContainsFunc(old, func(id order.ID) bool { return strings.HasSuffix(key, string(id)) })
	}
	for _, limit := range []int{1, 1000} {
		end := h.faults.Begin("Query", lagging(isNew))
		if got := h.list(limit); !slices.Equal(got, old) {
			t.Errorf("pages of %d are %v, the index has %v", limit, got, old)
		}
		end()
		end = h.faults.Begin("Query", lagging(func(key string) bool { return isNew(key) && rand.IntN(2) == 0 }))
		got := h.list(limit)
		for _, id := range got {
			h.read(id) // or it is not there
		}
		if newer := len(got) - len(old); newer < 0 || !slices.Equal(got[newer:], old) {
			t.Errorf("pages of %d are %v, the index has always had %v", limit, got, old)
		}
		end()
	}
	h.audit()
}

// crowded reports whether the partition of the index that has the newest of the old orders
// has two newer ones: as many as a page of one id asks it for.
func (h *faultyHome) crowded(old []order.ID) bool {
	newer := 0
	for _, id := range h.list(1000) {
		if !slices.Contains(old, id) && hashOf(string(id))%16 == hashOf(string(old[0]))%16 {
			newer++
		}
	}
	return newer >= 2
}

// lagging leaves ids out of an index's answer.
func lagging(leaveOut func(createdKey string) bool) awstest.Fault {
	return func(a *awstest.Attempt) (*smithyhttp.Response, error) {
		response, err := a.Send()
		if err != nil || response.StatusCode != http.StatusOK {
			return response, err
		}
		defer response.Body.Close()
		var page map[string]any
		if err := json.UnmarshalRead(response.Body, &page); err != nil {
			return nil, err
		}
		items, _ := page["Items"].([]any)
		page["Items"] = slices.DeleteFunc(items, func(item any) bool {
			attributes, _ := item.(map[string]any)
			created, _ := attributes["created_key"].(map[string]any)
			key, _ := created["S"].(string)
			return key != "" && leaveOut(key) // another query's items have no such key
		})
		body, err := json.Marshal(page)
		response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		return response, err
	}
}
