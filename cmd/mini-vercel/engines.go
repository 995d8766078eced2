package main

// engines say to people what is behind the parts that GET /ready names, without
// where it is.
func (s *Settings) engines() map[string]string {
	engines := map[string]string{"database": "SQLite", "logs": "SQLite", "bucket": "a directory"}
	if s.DatabaseURL != "" {
		engines["database"] = "PostgreSQL"
	}
	if s.ClickHouseHost != "" {
		engines["logs"] = "ClickHouse"
	}
	switch {
	case s.R2BucketName == "":
	case s.R2AccountID != "":
		engines["bucket"] = "Cloudflare R2"
	case s.R2Endpoint != "":
		engines["bucket"] = "an S3 service"
	default:
		engines["bucket"] = "Amazon S3"
	}
	return engines
}
