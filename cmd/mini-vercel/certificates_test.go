package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/caddymodule"
)

const (
	testSecret      = "XfGeC1bkQ0Jp7nW3mRzTqYv5sH8uLaKd2oPiEx4NcVg="
	testSecretOther = "0b5c2f9a4e7d13688ac1f05d9be2437640fd81c7ae52936b1d08e4fa7c39b265"
)

func TestSettingsOfTheCertificatesBucket(t *testing.T) {
	for _, test := range []struct {
		name string
		env  []string
		want string // of the error; none: it is taken
	}{
		{"none", nil, ""},
		{"a bucket", []string{"CERTS_BUCKET_NAME=certs", "R2_ACCOUNT_ID=0123abcd", "EDGE_SECRET=" + testSecret}, ""},
		{"a bucket beside that of the sites", []string{"CERTS_BUCKET_NAME=certs", "R2_BUCKET_NAME=sites", "R2_ACCOUNT_ID=0123abcd", "EDGE_SECRET=" + testSecret, "CERTS_ACCESS_KEY_ID=k", "CERTS_SECRET_ACCESS_KEY=s"}, ""},
		{"a directory", []string{"CERTS_DIR=/srv/certs", "EDGE_SECRET=" + testSecret}, ""},
		{"two secrets", []string{"CERTS_DIR=/srv/certs", "EDGE_SECRET=" + testSecretOther, "EDGE_SECRET_PREVIOUS=" + testSecret}, ""},
		{"a secret alone", []string{"EDGE_SECRET=" + testSecret}, ""},
		{"a bucket without a secret", []string{"CERTS_BUCKET_NAME=certs", "R2_ACCOUNT_ID=0123abcd"}, "EDGE_SECRET is not set"},
		{"a directory without a secret", []string{"CERTS_DIR=/srv/certs"}, "EDGE_SECRET is not set"},
		{"a short secret", []string{"EDGE_SECRET=c2hvcnQ="}, "EDGE_SECRET has 5 bytes"},
		{"a previous secret alone", []string{"EDGE_SECRET_PREVIOUS=" + testSecret}, "EDGE_SECRET is not set"},
		{"a bad previous secret", []string{"EDGE_SECRET=" + testSecret, "EDGE_SECRET_PREVIOUS=!"}, "EDGE_SECRET_PREVIOUS is neither"},
		{"both", []string{"CERTS_BUCKET_NAME=certs", "CERTS_DIR=/srv/certs", "EDGE_SECRET=" + testSecret}, "set one"},
		{"the bucket of the sites", []string{"CERTS_BUCKET_NAME=sites", "R2_BUCKET_NAME=sites", "R2_ACCOUNT_ID=0123abcd", "EDGE_SECRET=" + testSecret}, "a bucket of their own"},
		{"a key without a bucket", []string{"CERTS_ACCESS_KEY_ID=k", "CERTS_SECRET_ACCESS_KEY=s"}, "without CERTS_BUCKET_NAME"},
		{"half a key", []string{"CERTS_BUCKET_NAME=certs", "CERTS_ACCESS_KEY_ID=k", "EDGE_SECRET=" + testSecret}, "CERTS_SECRET_ACCESS_KEY is not set"},
		{"the other half", []string{"CERTS_BUCKET_NAME=certs", "CERTS_SECRET_ACCESS_KEY=s", "EDGE_SECRET=" + testSecret}, "CERTS_ACCESS_KEY_ID is not set"},
		{"a path as name", []string{"CERTS_BUCKET_NAME=a/b", "EDGE_SECRET=" + testSecret}, "CERTS_BUCKET_NAME"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Load(test.env)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), testSecret) {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}

func TestTheCertificatesBucketHasItsOwnKey(t *testing.T) {
	env := []string{
		"R2_BUCKET_NAME=sites", "R2_ENDPOINT=https://s3.example.com", "R2_ACCESS_KEY_ID=sites-id", "R2_SECRET_ACCESS_KEY=sites-secret",
		"CERTS_BUCKET_NAME=certs", "EDGE_SECRET=" + testSecretOther, "EDGE_SECRET_PREVIOUS=" + testSecret,
	}
	want := caddymodule.Storage{
		Bucket: caddymodule.Bucket{Name: "certs", Endpoint: "https://s3.example.com", AccessKeyID: "sites-id", SecretAccessKey: "sites-secret"},
		Secret: testSecretOther, PreviousSecret: testSecret, LocalDir: "data/certificates",
	}
	for range 2 {
		s, err := Load(env)
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(s.certificates("data"))
		if err != nil {
			t.Fatal(err)
		}
		if expected, _ := json.Marshal(want); string(got) != string(expected) {
			t.Fatalf("got %s\nwant %s", got, expected)
		}
		env = append(env, "CERTS_ACCESS_KEY_ID=certs-id", "CERTS_SECRET_ACCESS_KEY=certs-secret")
		want.Bucket.AccessKeyID, want.Bucket.SecretAccessKey = "certs-id", "certs-secret"
	}
	s, err := Load(nil)
	if err != nil || s.certificates("data") != nil {
		t.Fatalf("without settings: %+v %v", s.certificates("data"), err)
	}
}
