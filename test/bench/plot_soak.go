package main

import (
	"fmt"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// A soakLine is one figure of each interval.
type soakLine struct {
	name   string
	of     func(interval) float64
	colour color.Color
	dashes []vg.Length
}

// plot draws three panels over the time of the load: memory, latency, and disk.
func (r *soakRecord) plot(path string) error {
	title := fmt.Sprintf("%s creates a second for %.0f minutes", grouped(r.Rate), r.Duration/60)
	memory, err := r.panel(
		title, "memory (MB)",
		soakLine{"resident memory of the service", func(i interval) float64 { return i.MemoryMB }, blue, solid},
	)
	if err != nil {
		return err
	}
	latency, err := r.panel(
		"", "latency since due (ms)",
		soakLine{"p99 of creates", func(i interval) float64 { return i.P99 }, blue, solid},
		soakLine{"p50 of creates", func(i interval) float64 { return i.P50 }, orange, dashed},
	)
	if err != nil {
		return err
	}
	disk, err := r.panel(
		"", "file (B an order, MB)",
		soakLine{"bytes of file an order", interval.bytesPerOrder, blue, solid},
		soakLine{"size of the -wal (MB)", func(i interval) float64 { return i.WALMB }, orange, dashed},
	)
	if err != nil {
		return err
	}
	disk.X.Label.Text = "time under load (minutes)"
	return saveSVG(path, vg.Points(640), vg.Points(600), memory, latency, disk)
}

// panel has the lines over time, from zero, with room above for the legend.
func (r *soakRecord) panel(title, y string, lines ...soakLine) (*plot.Plot, error) {
	p := newPlot(title, "", y)
	for _, l := range lines {
		points := make(plotter.XYs, len(r.Intervals))
		for n, i := range r.Intervals {
			points[n] = plotter.XY{X: i.End / 60, Y: l.of(i)}
		}
		if err := addLine(p, l.name, points, l.colour, l.dashes); err != nil {
			return nil, err
		}
	}
	p.X.Min, p.Y.Min, p.Y.Max = 0, 0, 1.45*p.Y.Max
	p.Legend.Top, p.Legend.Left, p.Legend.XOffs, p.Legend.YOffs = true, true, vg.Points(8), vg.Points(-4)
	return p, nil
}
