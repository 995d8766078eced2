package main

import (
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Setting is the reference of one variable.
type Setting struct {
	Name, Default, Help string
	Secret              bool
	Address             bool   // of a server or a host: it has no place for a user and a password
	Heading             string // of the block that begins with it
}

// show returns the value as people may see it.
func (s Setting) show(value string) string {
	if s.Secret && value != "" {
		return "(secret)"
	}
	return value
}

// fields yields every field of the settings with its reference, those of
// embedded structs in their place.
func (s *Settings) fields() func(yield func(reflect.Value, Setting) bool) {
	return func(yield func(reflect.Value, Setting) bool) { eachField(reflect.ValueOf(s).Elem(), "", yield) }
}

func eachField(v reflect.Value, heading string, yield func(reflect.Value, Setting) bool) (more bool) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		tag := field.Tag
		if field.Anonymous {
			if !eachField(v.Field(i), tag.Get("heading"), yield) {
				return false
			}
			continue
		}
		setting := Setting{Name: tag.Get("env"), Default: tag.Get("default"), Help: tag.Get("help"), Secret: tag.Get("secret") == "true", Address: tag.Get("address") == "true", Heading: heading}
		if !yield(v.Field(i), setting) {
			return false
		}
		heading = ""
	}
	return true
}

func assign(field reflect.Value, text string) error {
	switch field.Interface().(type) {
	case time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return errors.New("use a duration such as 90s, 15m or 1h")
		}
		field.SetInt(int64(d))
	case int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return errors.New("use a whole number")
		}
		field.SetInt(int64(n))
	case bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return errors.New("use 1 or 0")
		}
		field.SetBool(b)
	default:
		field.SetString(text)
	}
	return nil
}

// misspelt returns the setting that name was probably meant to be: a name that
// is nearly one of ours is more likely a mistake than somebody else's.
func misspelt(name string, known []string) string {
	if len(name) < 8 || slices.Contains(known, name) {
		return ""
	}
	squeeze := func(s string) string { return strings.NewReplacer("_", "", "-", "").Replace(strings.ToUpper(s)) }
	for _, k := range known {
		if squeeze(k) == squeeze(name) {
			return k
		}
	}
	return ""
}
