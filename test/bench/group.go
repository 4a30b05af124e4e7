package main

import (
	"context"
	"fmt"
)

// A group is rows of the report that are measured together.
type group struct {
	name    string
	measure func(*bench, context.Context) (section, error)
}

var groups = []group{
	{"creates", (*bench).measureCreates},
	{"keyed", (*bench).measureKeyed},
	{"latency", (*bench).measureLatency},
	{"rates", (*bench).measureRates},
	{"slow", (*bench).measureSlow},
	{"backup", (*bench).measureBackup},
	{"lives", (*bench).measureLives},
	{"commit", (*bench).measureCommit},
	{"reads", (*bench).measureReads},
	{"start", (*bench).measureStart},
	{"functions", (*bench).measureFunctions},
}

func groupNames() []string {
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = g.name
	}
	return names
}

// measure takes all measurements that are asked for. A group that fails gets a
// row that says so, and the others go on; only the end of the context is an error.
func (b *bench) measure(ctx context.Context) (report, error) {
	var rep report
	for _, g := range groups {
		if b.only != "" && b.only != g.name {
			continue
		}
		b.say("%s:", g.name)
		s, err := g.measure(b, ctx)
		if ctx.Err() != nil {
			return report{}, fmt.Errorf("interrupted during %s: %w", g.name, ctx.Err())
		}
		if err != nil {
			b.say("  failed: %v", err)
			s.Rows = append(s.Rows, row{Name: g.name, Failed: err.Error()})
		}
		s.Group, s.Conditions = g.name, currentConditions(b.form)
		rep.Sections = append(rep.Sections, s)
	}
	return rep, nil
}
