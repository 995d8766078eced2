package site

import "strings"

// DefaultContentType is the media type of a file whose extension says nothing.
const DefaultContentType = "application/octet-stream"

// contentTypes maps extensions, in lower case and without the dot, to the value
// of the Content-Type header. Text, JavaScript, JSON, SVG and XML name UTF-8,
// which is what builds write; other media types define their encoding
// themselves. An extension that is listed here, other than html and htm, marks
// a path as an asset's (see [IsAssetExtension]): what people also use at the end
// of names of pages, such as com or v2, must not be.
var contentTypes = map[string]string{
	// Pages, styles, scripts.
	"html":        "text/html; charset=utf-8",
	"htm":         "text/html; charset=utf-8",
	"xhtml":       "application/xhtml+xml; charset=utf-8",
	"css":         "text/css; charset=utf-8",
	"js":          "text/javascript; charset=utf-8", // RFC 9239
	"mjs":         "text/javascript; charset=utf-8",
	"cjs":         "text/javascript; charset=utf-8",
	"wasm":        "application/wasm", // what compileStreaming insists on
	"json":        "application/json; charset=utf-8",
	"map":         "application/json; charset=utf-8", // source maps
	"jsonld":      "application/ld+json; charset=utf-8",
	"geojson":     "application/geo+json; charset=utf-8",
	"topojson":    "application/json; charset=utf-8",
	"json5":       "application/json5; charset=utf-8",
	"jsonl":       "application/jsonl; charset=utf-8",
	"ndjson":      "application/x-ndjson; charset=utf-8",
	"webmanifest": "application/manifest+json; charset=utf-8",
	"importmap":   "application/importmap+json; charset=utf-8",
	"xml":         "application/xml; charset=utf-8",
	"xsl":         "application/xml; charset=utf-8",
	"xslt":        "application/xslt+xml; charset=utf-8",
	"xsd":         "application/xml; charset=utf-8",
	"dtd":         "application/xml-dtd; charset=utf-8",
	"rss":         "application/rss+xml; charset=utf-8",
	"atom":        "application/atom+xml; charset=utf-8",
	"kml":         "application/vnd.google-earth.kml+xml; charset=utf-8",
	"gpx":         "application/gpx+xml; charset=utf-8",
	"plist":       "application/xml; charset=utf-8",

	// Text.
	"txt":      "text/plain; charset=utf-8",
	"text":     "text/plain; charset=utf-8",
	"log":      "text/plain; charset=utf-8",
	"md":       "text/markdown; charset=utf-8", // RFC 7763
	"markdown": "text/markdown; charset=utf-8",
	"mdx":      "text/markdown; charset=utf-8",
	"rst":      "text/plain; charset=utf-8",
	"csv":      "text/csv; charset=utf-8",
	"tsv":      "text/tab-separated-values; charset=utf-8",
	"yaml":     "application/yaml; charset=utf-8", // RFC 9512
	"yml":      "application/yaml; charset=utf-8",
	"toml":     "application/toml; charset=utf-8",
	"ini":      "text/plain; charset=utf-8",
	"conf":     "text/plain; charset=utf-8",
	"diff":     "text/plain; charset=utf-8",
	"patch":    "text/plain; charset=utf-8",
	"sh":       "text/x-sh; charset=utf-8",
	"ps1":      "text/plain; charset=utf-8",
	"jsx":      "text/plain; charset=utf-8", // sources: shown, never run
	"tsx":      "text/plain; charset=utf-8",
	"scss":     "text/x-scss; charset=utf-8",
	"sass":     "text/x-sass; charset=utf-8",
	"less":     "text/less; charset=utf-8",
	"graphql":  "application/graphql; charset=utf-8",
	"ics":      "text/calendar; charset=utf-8",
	"vcf":      "text/vcard; charset=utf-8",
	"vtt":      "text/vtt; charset=utf-8",
	"srt":      "application/x-subrip; charset=utf-8",
	"asc":      "text/plain; charset=utf-8",
	"sql":      "application/sql; charset=utf-8",
	"glsl":     "text/plain; charset=utf-8",
	"vert":     "text/plain; charset=utf-8",
	"frag":     "text/plain; charset=utf-8",
	"wgsl":     "text/wgsl; charset=utf-8",

	// Images.
	"svg":   "image/svg+xml; charset=utf-8",
	"svgz":  "image/svg+xml",
	"png":   "image/png",
	"apng":  "image/apng",
	"jpg":   "image/jpeg",
	"jpeg":  "image/jpeg",
	"jfif":  "image/jpeg",
	"gif":   "image/gif",
	"webp":  "image/webp",
	"avif":  "image/avif",
	"heic":  "image/heic",
	"heif":  "image/heif",
	"jxl":   "image/jxl",
	"jp2":   "image/jp2",
	"bmp":   "image/bmp",
	"ico":   "image/x-icon",
	"cur":   "image/x-icon",
	"tif":   "image/tiff",
	"tiff":  "image/tiff",
	"psd":   "image/vnd.adobe.photoshop",
	"eps":   "application/postscript",
	"ktx":   "image/ktx",
	"ktx2":  "image/ktx2",
	"hdr":   "image/vnd.radiance",
	"basis": "application/octet-stream",

	// Fonts, RFC 8081.
	"woff":  "font/woff",
	"woff2": "font/woff2",
	"ttf":   "font/ttf",
	"otf":   "font/otf",
	"ttc":   "font/collection",
	"eot":   "application/vnd.ms-fontobject",

	// Video and audio. ts is HLS's transport stream, not TypeScript.
	"mp4":  "video/mp4",
	"m4v":  "video/mp4",
	"webm": "video/webm",
	"ogv":  "video/ogg",
	"mov":  "video/quicktime",
	"avi":  "video/x-msvideo",
	"mkv":  "video/x-matroska",
	"mpg":  "video/mpeg",
	"mpeg": "video/mpeg",
	"3gp":  "video/3gpp",
	"3g2":  "video/3gpp2",
	"ts":   "video/mp2t",
	"m4s":  "video/iso.segment",
	"m3u8": "application/vnd.apple.mpegurl",
	"m3u":  "audio/mpegurl",
	"mpd":  "application/dash+xml; charset=utf-8",
	"mp3":  "audio/mpeg",
	"m4a":  "audio/mp4",
	"aac":  "audio/aac",
	"ogg":  "audio/ogg",
	"oga":  "audio/ogg",
	"opus": "audio/ogg",
	"wav":  "audio/wav",
	"weba": "audio/webm",
	"flac": "audio/flac",
	"mid":  "audio/midi",
	"midi": "audio/midi",
	"aif":  "audio/aiff",
	"aiff": "audio/aiff",

	// Documents.
	"pdf":  "application/pdf",
	"epub": "application/epub+zip",
	"rtf":  "application/rtf",
	"doc":  "application/msword",
	"docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	"xls":  "application/vnd.ms-excel",
	"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	"ppt":  "application/vnd.ms-powerpoint",
	"pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
	"odt":  "application/vnd.oasis.opendocument.text",
	"ods":  "application/vnd.oasis.opendocument.spreadsheet",
	"odp":  "application/vnd.oasis.opendocument.presentation",
	"ps":   "application/postscript",

	// Archives and packages.
	"zip":      "application/zip",
	"gz":       "application/gzip",
	"tgz":      "application/gzip",
	"bz2":      "application/x-bzip2",
	"xz":       "application/x-xz",
	"zst":      "application/zstd",
	"br":       "application/octet-stream",
	"tar":      "application/x-tar",
	"7z":       "application/x-7z-compressed",
	"rar":      "application/vnd.rar",
	"jar":      "application/java-archive",
	"apk":      "application/vnd.android.package-archive",
	"ipa":      "application/octet-stream",
	"dmg":      "application/x-apple-diskimage",
	"iso":      "application/x-iso9660-image",
	"exe":      "application/vnd.microsoft.portable-executable",
	"msi":      "application/x-msi",
	"deb":      "application/vnd.debian.binary-package",
	"rpm":      "application/x-rpm",
	"crx":      "application/x-chrome-extension",
	"xpi":      "application/x-xpinstall",
	"whl":      "application/zip",
	"pkpass":   "application/vnd.apple.pkpass",
	"wbn":      "application/webbundle",
	"appcache": "text/cache-manifest; charset=utf-8",

	// Three dimensions, data, models.
	"glb":     "model/gltf-binary",
	"gltf":    "model/gltf+json; charset=utf-8",
	"obj":     "model/obj",
	"mtl":     "model/mtl",
	"stl":     "model/stl",
	"usdz":    "model/vnd.usdz+zip",
	"fbx":     "application/octet-stream",
	"bin":     "application/octet-stream",
	"dat":     "application/octet-stream",
	"data":    "application/octet-stream",
	"pb":      "application/octet-stream",
	"pbf":     "application/x-protobuf",
	"mvt":     "application/vnd.mapbox-vector-tile",
	"pmtiles": "application/vnd.pmtiles",
	"parquet": "application/vnd.apache.parquet",
	"arrow":   "application/vnd.apache.arrow.file",
	"sqlite":  "application/vnd.sqlite3",
	"onnx":    "application/octet-stream",
	"tflite":  "application/octet-stream",
	"riv":     "application/octet-stream",
	"lottie":  "application/zip",
	"swf":     "application/x-shockwave-flash",
	"pem":     "application/x-pem-file",
	"crt":     "application/x-x509-ca-cert",
	"cer":     "application/pkix-cert",
	"crl":     "application/pkix-crl",
	"torrent": "application/x-bittorrent",
}

// wellKnownTypes are files that a protocol names without an extension.
var wellKnownTypes = map[string]string{
	"apple-app-site-association": "application/json; charset=utf-8",
}

// ContentType returns the value of the Content-Type header for a file at path:
// the media type by the extension, in any case of letters, with the charset
// where it is text; [DefaultContentType] where the extension is unknown.
func ContentType(path string) string {
	name := path[strings.LastIndexByte(path, '/')+1:]
	if t, ok := wellKnownTypes[name]; ok {
		return t
	}
	if t, ok := typeByExtension(name); ok {
		return t
	}
	return DefaultContentType
}

// IsAssetExtension reports whether the last segment of path ends in a known
// extension other than html and htm: such a path never stands for a page of a
// single-page application. /app.js is an asset's, /u/john.doe is a page's.
func IsAssetExtension(path string) bool {
	name := path[strings.LastIndexByte(path, '/')+1:]
	t, ok := typeByExtension(name)
	return ok && t != contentTypes["html"]
}

// longestExtension bounds what is lowered and looked up.
const longestExtension = 11 // webmanifest

func typeByExtension(name string) (string, bool) {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 || len(name)-dot-1 > longestExtension {
		return "", false
	}
	var lower [longestExtension]byte
	n := copy(lower[:], name[dot+1:])
	for i, c := range lower[:n] {
		if c >= 'A' && c <= 'Z' {
			lower[i] = c + 'a' - 'A'
		}
	}
	t, ok := contentTypes[string(lower[:n])]
	return t, ok
}
