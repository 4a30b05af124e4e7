package main

import (
	"strings"
	"testing"
	"time"
)

func settingsOf(variables string) (settings, error) {
	return newSettings(func(name string) string {
		for _, variable := range strings.Fields(variables) {
			if value, ok := strings.CutPrefix(variable, name+"="); ok {
				return value
			}
		}
		return ""
	})
}

func TestSettingsHaveDefaultsAndAreChecked(t *testing.T) {
	s, err := settingsOf("USERS= SPAWN=5 LAG=1m30s HOST=https://shop.example/")
	want := settings{users: 1000, spawn: 5, duration: 5 * time.Minute, processingTime: 50 * time.Second, lag: 90 * time.Second, host: "https://shop.example"}
	if err != nil || s != want {
		t.Errorf("got %+v, %v, want %+v", s, err, want)
	}
	_, err = settingsOf("USERS=0 SPAWN=many DURATION=5 PROCESSING_TIME=-1s LAG=soon")
	for _, name := range []string{"USERS", "SPAWN", "DURATION", "PROCESSING_TIME", "LAG"} {
		if err == nil || !strings.Contains(err.Error(), name+" must be") {
			t.Errorf("nothing is said of %s: %v", name, err)
		}
	}
}
