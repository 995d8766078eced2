package sandbox
func buildUntilKilled() int { return 1}
