package commands

import (
	"nomadctld/internal/render"
	"nomadctld/router"
)

// clientStyle returns the style of the output: colored and as wide as the client's terminal, or plain and not
// truncated if it has none.
func clientStyle(req *router.Request) render.Style {
	if req.Terminal == nil {
		return render.Style{}
	}
	width, _ := req.Terminal.Size()
	return render.Style{Width: width, Color: !req.NoColor}
}
