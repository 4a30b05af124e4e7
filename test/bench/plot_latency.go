package main

import (
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// climbPlot is the name of what is drawn of the last climb.
const climbPlot = "latency.svg"

// plot draws the latencies against the rates, a step that was not kept with a cross.
func (c climb) plot(path string) error {
	p := newPlot("Latency of creates by rate, open loop", "creates due a second (cross: not kept)", "latency since due (ms)")
	p.Y.Tick.Marker, p.X.Tick.Marker = plot.TickerFunc(decades), plot.TickerFunc(tenThousands)
	p.Legend.Top, p.Legend.Left, p.Legend.XOffs, p.Legend.YOffs = true, true, vg.Points(8), vg.Points(-4)
	colours := []color.Color{orange, blue}
	for i, climber := range c.Contenders {
		if err := climber.draw(p, colours[i%len(colours)]); err != nil {
			return err
		}
	}
	p.X.Min, p.Y.Min, p.Y.Max = 0, math.Floor(p.Y.Min), math.Ceil(p.Y.Max)
	return saveSVG(path, vg.Points(640), vg.Points(400), p)
}

func (c climber) draw(p *plot.Plot, colour color.Color) error {
	for _, line := range []struct {
		name   string
		of     func(step) float64
		dashes []vg.Length
	}{
		{"p99.9", func(s step) float64 { return s.P999 }, dotted},
		{"p99", func(s step) float64 { return s.P99 }, solid},
		{"p50", func(s step) float64 { return s.P50 }, dashed},
	} {
		var all, lost plotter.XYs
		for _, s := range c.Steps {
			at := plotter.XY{X: float64(s.Rate), Y: logarithm(line.of(s))}
			all = append(all, at)
			if !s.kept() {
				lost = append(lost, at)
			}
		}
		if err := addLine(p, c.Name+" "+line.name, all, colour, line.dashes); err != nil {
			return err
		}
		crosses, err := plotter.NewScatter(lost)
		if err != nil {
			return err
		}
		crosses.Shape, crosses.Color, crosses.Radius = draw.CrossGlyph{}, colour, vg.Points(4)
		p.Add(crosses)
	}
	return nil
}

// The latency axis is linear in the logarithm, which plot.LogScale is not quite: it
// makes room for the label where the label is not.
func logarithm(ms float64) float64 { return math.Log10(max(ms, 0.001)) }

// decades are ticks at each power of ten, with lesser ones between.
func decades(low, high float64) (ticks []plot.Tick) {
	for power := math.Floor(low); power <= high; power++ {
		decade := math.Pow(10, power)
		ticks = append(ticks, plot.Tick{Value: power, Label: strconv.FormatFloat(decade, 'f', -1, 64)})
		for i := 2.0; i < 10 && power < high; i++ {
			ticks = append(ticks, plot.Tick{Value: logarithm(i * decade)})
		}
	}
	return ticks
}

// tenThousands are ticks at multiples of that, with one between.
func tenThousands(_, high float64) (ticks []plot.Tick) {
	for at := 0.0; at <= high; at += 10_000 {
		ticks = append(ticks, plot.Tick{Value: at, Label: grouped(at)}, plot.Tick{Value: at + 5_000})
	}
	return ticks
}
