package web

import (
	"fmt"
	"slices"
	"strings"
)

// spark is a segment's history as a small drawing of 84 by 22.
type spark struct {
	Line, Area string // path data
	X, Y       string // of the last day
	Label      string // for those who do not see it
}

// sparkline draws sizes, oldest first; nil below two days. The lowest of them is the bottom, unless that would make a
// ripple on a large segment look like a storm: the height is at least a tenth of the largest size.
func sparkline(sizes []int64) *spark {
	if len(sizes) < 2 {
		return nil
	}
	const left, right, top, bottom = 1.0, 81.0, 3.0, 20.0
	most, least := slices.Max(sizes), slices.Min(sizes)
	height := max(most-least, most/10, 1)
	points := make([]string, len(sizes))
	var x, y float64
	for i, n := range sizes {
		x = left + (right-left)*float64(i)/float64(len(sizes)-1)
		y = bottom - (bottom-top)*float64(n-least)/float64(height)
		points[i] = fmt.Sprintf("%.1f %.1f", x, y)
	}
	line := "M" + strings.Join(points, "L")
	return &spark{
		Line: line, Area: fmt.Sprintf("%sL%.1f 22L%.1f 22Z", line, right, left), X: fmt.Sprintf("%.1f", x), Y: fmt.Sprintf("%.1f", y),
		Label: fmt.Sprintf("%d days: from %s to %s", len(sizes), number(sizes[0]), number(sizes[len(sizes)-1])),
	}
}

// bars draws amounts of days, oldest first, as columns on a drawing of 84 by 22; nil when there is none above 0.
func bars(days []int64) *spark {
	if len(days) == 0 || slices.Max(days) <= 0 {
		return nil
	}
	const left, width, height, bottom = 1.0, 82.0, 19.0, 21.0
	most, step := float64(slices.Max(days)), width/float64(len(days))
	var line strings.Builder
	earned := 0
	for i, n := range days {
		if n <= 0 { // a day whose orders were all given back
			continue
		}
		earned++
		fmt.Fprintf(&line, "M%.1f %.1fV%.1f", left+step*(float64(i)+0.5), bottom, bottom-max(height*float64(n)/most, 1))
	}
	return &spark{Line: line.String(), Label: fmt.Sprintf("revenue by day: some on %d of the last %d days", earned, len(days))}
}
