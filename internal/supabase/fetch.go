package supabase

// Fetch fetches the keys that Supabase publishes, and returns how many there
// are. It takes the configured time at most, and changes nothing.
func (v *Verifier) Fetch() (int, error) {
	set, err := v.keys.get()
	return len(set), err
}
