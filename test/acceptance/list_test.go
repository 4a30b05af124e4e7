package acceptance

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"testing"
)

func TestPagesJoinedAreAllOrdersNewestFirst(t *testing.T) { // I12
	h := open(t)
	var mine []string
	for range 8 {
		mine = append(mine, h.create(plain).OrderID)
	}
	slices.Reverse(mine)
	h.eventually(func() error { // the index follows the table
		ids := h.ids(3)
		if different := slices.Compact(slices.Sorted(slices.Values(ids))); len(different) != len(ids) {
			t.Fatalf("the pages have %d ids, of which %d are different", len(ids), len(different))
		}
		listed := slices.DeleteFunc(ids, func(id string) bool { return !slices.Contains(mine, id) })
		if len(listed) == len(mine) && !slices.Equal(listed, mine) {
			t.Fatalf("listed are %v, created were %v", listed, mine)
		}
		if len(listed) != len(mine) {
			return fmt.Errorf("%d of %d orders are listed", len(listed), len(mine))
		}
		return nil
	})
}

var nextLink = regexp.MustCompile(`^<(\?[^>]*)>; rel="next"$`)

// ids are all ids, page by page.
func (h *home) ids(limit int) (ids []string) {
	h.Helper()
	path := fmt.Sprintf("/api/orders/ids/?limit=%d", limit)
	for {
		a := h.ask(http.MethodGet, path, "")
		page := decode[[]struct {
			OrderID string `json:"order_id"`
		}](h, a)
		if a.StatusCode != http.StatusOK || len(page) > limit {
			h.Fatalf("%s is answered %s with %d ids", path, a.Status, len(page))
		}
		for _, o := range page {
			ids = append(ids, o.OrderID)
		}
		link := a.Header.Get("Link")
		if link == "" {
			return ids
		}
		next := nextLink.FindStringSubmatch(link)
		if next == nil || len(page) == 0 {
			h.Fatalf("%s leads on with %q after %d ids", path, link, len(page))
		}
		path = "/api/orders/ids/" + next[1]
	}
}
