// Package templates holds the mails that Relance brings along: abandoned_cart, win_back and welcome, in French and in
// English. They name no shop and promise nothing on its behalf, so that they can be sent as they are.
package templates

import (
	"embed"
	"io/fs"
)

//go:embed *.subject *.html *.txt _*.html _*.txt
var files embed.FS

// Default is the folder of the default templates, for render.Load to lie under the user's own and for `relance init`
// to copy from.
func Default() fs.FS { return files }
