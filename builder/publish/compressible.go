package publish

import "strings"

// compressible reports whether files of that content type are worth
// compressing: text, which the table of content types gives a charset, and the
// few binary formats that are not compressed in themselves.
func compressible(contentType string) bool {
	media, params, _ := strings.Cut(contentType, ";")
	media = strings.TrimSpace(media)
	if strings.Contains(params, "charset=") || strings.HasPrefix(media, "text/") ||
		strings.HasSuffix(media, "+xml") || strings.HasSuffix(media, "+json") {
		return true
	}
	switch media {
	case "application/json", "application/xml", "application/javascript",
		"application/wasm", "application/rtf", "application/postscript",
		"application/vnd.apple.mpegurl", "audio/mpegurl", "application/vnd.ms-fontobject",
		"font/ttf", "font/otf", "font/collection",
		"image/x-icon", "image/bmp", "image/vnd.radiance",
		"model/obj", "model/mtl", "model/stl", "model/gltf-binary",
		"application/x-pem-file", "application/vnd.sqlite3":
		return true
	}
	return false
}

// servedMost reports whether a content type is that of pages, scripts or styles:
// what most requests ask for, and what delays a page.
func servedMost(contentType string) bool {
	switch media, _, _ := strings.Cut(contentType, ";"); media {
	case "text/html", "text/javascript", "application/javascript", "text/css":
		return true
	}
	return false
}
