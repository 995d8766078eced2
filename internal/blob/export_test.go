package blob

// URL is where an object is read.
func (s *S3) URL(key string) string { return s.url(key).String() }
