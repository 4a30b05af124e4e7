package order_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"orders/shared/order"
)

// The encoders of Java and .NET write ten million as 1.0E7. ParseAmount reads the numbers without an
// exponent.
func TestParseAmountNumberWithExponentsIsExact(t *testing.T) {
	for text, want := range map[string]order.Amount{
		"0": 0, "0.00": 0, "10": 1000, "1650.78": 165078, "1650.780000": 165078, "0.1": 10, "0.29": 29, "1.15": 115, "99999999.990": order.MaxAmount,
		"1.0E7": 1_000_000_000, "1.5E+3": 150_000, "16.5078e2": 165_078, "1e2": 10_000, "0.001e3": 100,
		"165078e-2": 165_078, "1e-2": 1, "100e-4": 1, "9999999999e-2": order.MaxAmount, "9.999999999e7": order.MaxAmount,
		"0e0": 0, "0.00e-7": 0, "0e999999999999999999999": 0, "0e-999999999999999999999": 0,
		"1" + strings.Repeat("0", 1000) + "e-1000": 100, "0." + strings.Repeat("0", 1000) + "1e1001": 100,
	} {
		if got, err := order.ParseAmountNumber(text); err != nil || got != want {
			t.Errorf("%.50q is %d, error %v, not %d", text, got, err, want)
		}
	}
	for want, texts := range map[error][]string{
		order.ErrOutOfRange: {"-1", "-0", "-0.001", "100000000", "100000000.001", "9007199254740993", strings.Repeat("9", 1000),
			"1e8", "1e400", "-1e2", "-0e0", "10000000000e-2", "1e999999999", "1e99999999999999999999", "100000000.001e0", "-1e-999999999"},
		order.ErrPrecision: {"0.001", "1.234", "99999999.999", "1e-3", "1.5e-2", "1e-400", "1e-999999999", "1e-99999999999999999999", "99999999.999e0"},
		order.ErrNotDecimal: {"", " 5", "5 ", "1,5", "abc", "٣", "+5", "05", "00", ".5", "5.", ".", "-", "--5", "0x1", "1.2.3", "NaN", "1_0",
			"e", "e1", "1e", "1e+", "1e1.0", "1e1e1", "1e_1", "01e1", ".5e1", "5.e1", "+5e1", "1ee1", "1e 1"},
	} {
		for _, text := range texts {
			if got, err := order.ParseAmountNumber(text); !errors.Is(err, want) {
				t.Errorf("%.50q is %d, error %v, not %v", text, got, err, want)
			}
		}
	}
}

func TestAmountsSurviveARoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := order.Amount(rapid.Int64Range(0, int64(order.MaxAmount)).Draw(t, "cents"))
		if got, err := order.ParseAmount(want.String()); err != nil || got != want {
			t.Fatalf("%s is read as %s, error %v", want, got, err)
		}
		places := rapid.IntRange(0, 30).Draw(t, "places")
		moved := fmt.Sprintf("0.%0*de%d", places, int64(want), max(places, len(fmt.Sprint(int64(want))))-2)
		if got, err := order.ParseAmountNumber(moved); err != nil || got != want {
			t.Fatalf("%s is read as %s, error %v, not %s", moved, got, err, want)
		}
	})
}

func TestAReasonHasUpTo500Characters(t *testing.T) {
	for length, want := range map[int]error{0: order.ErrReason, 1: nil, 500: nil, 501: order.ErrReason} {
		if err := order.CheckReason(strings.Repeat("🛒", length)); !errors.Is(err, want) {
			t.Errorf("%d characters: error %v, want %v", length, err, want)
		}
	}
}

// F3, I2, I3: the drafts move text between neighboring fields. A fingerprint without lengths would
// not change.
func TestDifferentDraftsHaveDifferentFingerprints(t *testing.T) {
	seen := map[order.Fingerprint]string{}
	for _, d := range []order.Draft{
		{Details: order.Details{UserID: "ab", ItemIDs: []string{"c"}}},
		{Details: order.Details{UserID: "a", ItemIDs: []string{"bc"}}},
		{Details: order.Details{ClientReference: "a", UserID: "b", ItemIDs: []string{"c"}}},
		{Details: order.Details{UserID: "ab", ItemIDs: []string{"c", ""}}},
		{Details: order.Details{UserID: "ab", ItemIDs: []string{"c"}, TotalAmount: 1}},
		{Details: order.Details{UserID: "ab", ItemIDs: []string{"c"}}, InitialStatus: order.Completed},
		{Details: order.Details{UserID: "ab", ItemIDs: []string{"c", "d"}}},
		{Details: order.Details{UserID: "ab", ItemIDs: []string{"d", "c"}}},
	} {
		d.SetFingerprint()
		text := fmt.Sprintf("%+v", d.Details)
		if other, twice := seen[d.Fingerprint]; twice {
			t.Errorf("same fingerprint: %s and %s", other, text)
		}
		seen[d.Fingerprint] = text
	}
	keyed, plain := order.Draft{Key: "ORDKEY"}, order.Draft{}
	keyed.SetFingerprint()
	plain.SetFingerprint()
	if keyed.Fingerprint != plain.Fingerprint {
		t.Error("the key changes the fingerprint")
	}
}

// I3: a client may repeat a request years later, so that fingerprints must never change. These were
// computed with other tools.
func TestFingerprintsNeverChange(t *testing.T) {
	for want, d := range map[string]order.Draft{
		"678068ea0accaf121b92fb1f9d13a7f6a01d33e51ff1bd6f595febb86ba3eda8": {Details: order.Details{UserID: "645", ItemIDs: []string{"890", "563"}, TotalAmount: 1650_78}},
		"b1f40f762482b479caa233a4e4760d0fda2bac6d3a669e461b80512f46bd59ca": {Details: order.Details{ClientReference: "userTest23", UserID: "645", ItemIDs: []string{"890", "563"}, TotalAmount: 1650_78}, InitialStatus: order.Processing},
		"c4911f1e147a87a2a2c36cd6655c3014d1c915358a57a0f242aa3c326b826d04": {Details: order.Details{UserID: "anna", ItemIDs: []string{"tea", "tea"}, TotalAmount: 9_90}, Key: order.KeyedID("", "cart-1138")},
		"4f79d5809898b8bbdb5ffe6030bd42f7ceb19a522011dc430761b1f3d5a44dd7": {Details: order.Details{UserID: "Ünïcødé", ItemIDs: []string{"注文"}, TotalAmount: order.MaxAmount}, InitialStatus: order.Completed},
		"647d77dbd387487cb48fbf214ed36dd0eb14e41612ff9a47faa5f7c80c4a1562": {Details: order.Details{ClientReference: strings.Repeat("é", 100), UserID: "u", ItemIDs: []string{"i"}}},
	} {
		d.SetFingerprint()
		if got := fmt.Sprintf("%x", d.Fingerprint); got != want {
			t.Errorf("%+v has the fingerprint %s, not %s", d, got, want)
		}
	}
}
