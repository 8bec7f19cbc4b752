package commands

import (
	"nomadctld/internal/render"
	"nomadctld/router"
)

// clientStyle returns how the client wants to be shown things: as wide as its terminal and in colours, or, without one,
// plain and whole.
func clientStyle(req *router.Request) render.Style {
	if req.Terminal == nil {
		return render.Style{}
	}
	width, _ := req.Terminal.Size()
	return render.Style{Width: width, Color: !req.NoColor}
}
