package template

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// `sam deploy` takes .aws-sam/build, whatever processor it was built for. So a build for a laptop has
// another folder, and `sam local` takes its template from there.
func TestABuildForALaptopIsNeverDeployed(t *testing.T) {
	content, err := os.ReadFile("samconfig.toml")
	if err != nil {
		t.Fatal(err)
	}
	folders, commands := map[string]string{}, 0
	header := regexp.MustCompile(`(?m)^\[(\w+)\.(\w+)\.parameters\]\n`)
	sections := header.FindAllStringSubmatchIndex(string(content), -1)
	for i, at := range sections {
		end := len(content)
		if i+1 < len(sections) {
			end = sections[i+1][0]
		}
		environment, command, settings := string(content[at[2]:at[3]]), string(content[at[4]:at[5]]), string(content[at[1]:end])
		folder := setting(settings, "build_dir")
		switch {
		case command == "build":
			folders[environment] = folder
			if laptop := strings.Contains(settings, "EndpointUrl="); laptop == (folder == "" || folder == ".aws-sam/build") {
				t.Errorf("[%s.%s] builds into %q, and is for a laptop: %t", environment, command, folder, laptop)
			}
		case strings.HasPrefix(command, "local_"):
			commands++
			if got, want := setting(settings, "template"), folders[environment]+"/template.yaml"; got != want {
				t.Errorf("[%s.%s] takes the template %q, want %q", environment, command, got, want)
			}
			if setting(settings, "skip_pull_image") != "true" {
				t.Errorf("[%s.%s] needs a network", environment, command)
			}
		}
	}
	if commands != 3 || len(folders) != 3 {
		t.Errorf("found %d commands and the builds %v", commands, folders)
	}
}

// setting returns the value of a setting, without its quotes.
func setting(settings, name string) string {
	found := regexp.MustCompile(`(?m)^` + name + ` = "?([^"\n]*)`).FindStringSubmatch(settings)
	if found == nil {
		return ""
	}
	return found[1]
}
