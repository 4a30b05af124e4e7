// Command scale computes what breaks on AWS as the load grows: the tables of docs/scale.md. It takes
// the model of shared/workload, the limits that AWS documents, and a seeded draw of keys onto
// partitions. Nothing in it is measured on AWS.
//
// Try a change of design here first: change the model, or give a flag, and read what breaks then.
//
//	go run ./test/scale -index-buckets 64
package main

import (
	"flag"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"orders/shared/workload"
)

func main() {
	d := asDeployed()
	flag.IntVar(&d.IndexBuckets, "index-buckets", d.IndexBuckets, "buckets of the index")
	flag.IntVar(&d.TallyItems, "tally-items", d.TallyItems, "items of the tally")
	flag.Float64Var(&d.StatusReads, "status-reads", d.StatusReads, "status reads an order")
	flag.IntVar(&d.ItemBytes, "item-bytes", d.ItemBytes, "bytes of an order's item")
	flag.Uint64Var(&d.Seed, "seed", d.Seed, "seed of the draws")
	flag.Parse()
	for _, t := range tables {
		fmt.Printf("%s:\n\n%s\n", t.name, t.text(d))
	}
}

// A design is what may be changed to bear a load.
type design struct {
	IndexBuckets, TallyItems int
	StatusReads              float64
	ItemBytes                int
	Seed                     uint64
}

// asDeployed is the design of the code, with the defaults of template.yaml.
func asDeployed() design {
	return design{IndexBuckets: 16, TallyItems: 16, StatusReads: 1, ItemBytes: 300, Seed: 1}
}

func (d design) load(orders float64) workload.Load {
	return workload.Load{Orders: orders, StatusReads: d.StatusReads, ItemBytes: d.ItemBytes, TallyItems: d.TallyItems}
}

// loads are the creates a second that the tables have.
var loads = []float64{1_000, 10_000, 100_000}

// A table is a part of docs/scale.md.
type table struct {
	name  string
	write func(io.Writer, design)
}

var tables = []table{{"limits", writeLimits}, {"index", writeIndex}, {"tally", writeTally}, {"bill", writeBill}}

func (t table) text(d design) string {
	var b strings.Builder
	t.write(&b, d)
	return b.String()
}

// row writes a row of a table in Markdown.
func row(w io.Writer, cells ...string) {
	fmt.Fprintln(w, "| "+strings.Join(cells, " | ")+" |")
}

// head writes the names of the columns.
func head(w io.Writer, cells ...string) {
	row(w, cells...)
	fmt.Fprintln(w, strings.Repeat("|---", len(cells))+"|")
}

// number rounds to three digits, or two decimals, and sets commas: 1230000 is 1,230,000.
func number(n float64) string {
	if math.IsInf(n, 1) {
		return "never"
	}
	if n < 10 {
		return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(n, 'f', 2, 64), "0"), ".")
	}
	digits, _ := strconv.ParseFloat(strconv.FormatFloat(n, 'g', 3, 64), 64)
	text := strconv.FormatFloat(digits, 'f', 0, 64)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// against is a number, in bold if it is beyond a limit.
func against(n, limit float64) string {
	if n > limit {
		return "**" + number(n) + "**"
	}
	return number(n)
}

func writeBill(w io.Writer, d design) {
	head(w, "creates a second", "a million orders", "a day", "a month", "of it HTTP API", "Lambda", "DynamoDB", "SQS", "logs")
	for _, orders := range loads {
		load := d.load(orders)
		perService := map[string]float64{}
		for _, line := range load.PerOrder(load.Batches()).Bill(orders*24*60*60, workload.UsualFunctions) {
			perService[line.Service] += line.USD
			perService[""] += line.USD
		}
		day := perService[""]
		cells := []string{number(orders), fmt.Sprintf("$%.2f", day/orders/24/60/60*1e6), "$" + number(day), "$" + number(30*day)}
		for _, service := range []string{"API Gateway", "Lambda", "DynamoDB", "SQS", "CloudWatch Logs"} {
			cells = append(cells, fmt.Sprintf("%.0f %%", perService[service]/day*100))
		}
		row(w, cells...)
	}
}
