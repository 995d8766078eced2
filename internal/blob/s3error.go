package blob

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"

	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// s3Error puts an answer of the service into the words of [Store]. Only the
// service's own word that a key does not exist is fs.ErrNotExist: not every 404.
func s3Error(err error) error {
	switch code := errorCode(err); {
	case code == "NoSuchKey":
		return fs.ErrNotExist
	case code == "BadDigest", code == "XAmzContentChecksumMismatch", code == "XAmzContentSHA256Mismatch", code == "InvalidDigest", code == "IncompleteBody":
		return fmt.Errorf("%w: %w", ErrContent, err)
	case errorStatus(err) == http.StatusNotModified:
		return ErrNotModified
	}
	return err
}

// errorCode is S3's word for what failed; none where no answer came.
func errorCode(err error) string {
	if answer := smithy.APIError(nil); errors.As(err, &answer) {
		return answer.ErrorCode()
	}
	return ""
}

// errorStatus is the status of the answer; 0 where none came.
func errorStatus(err error) int {
	if answer := (*answerError)(nil); errors.As(err, &answer) {
		return answer.status
	}
	if answer := (*smithyhttp.ResponseError)(nil); errors.As(err, &answer) && answer.Response != nil {
		return answer.HTTPStatusCode()
	}
	return 0
}

// withoutURL leaves out the URL of a failed request, whose signature is a secret.
func withoutURL(err error) error {
	if failed := (*url.Error)(nil); errors.As(err, &failed) {
		return failed.Err
	}
	return err
}
