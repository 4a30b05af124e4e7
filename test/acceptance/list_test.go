package acceptance

import (
	"fmt"
	"slices"
	"testing"
)

func TestPagesJoinedAreAllOrdersNewestFirst(t *testing.T) { // I12
	d := open(t)
	var mine []string
	for range 8 {
		mine = append(mine, d.create(plain, "").OrderID)
	}
	slices.Reverse(mine)
	d.eventually(func() error { // the index follows the table
		ids := d.ids(3)
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
