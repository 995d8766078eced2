package controlplane

// SettingsError says that a part answers, but not as this process is set up, and
// which settings to look at. It has no secret: whoever asks how the parts are is
// told it.
type SettingsError string

func (e SettingsError) Error() string { return string(e) }
