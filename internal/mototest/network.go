package mototest

import (
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Network returns subnets and a security group that the server has by itself.
func (s *Server) Network(t testing.TB) (subnets []string, group string) {
	t.Helper()
	var found struct {
		Subnets []string `xml:"subnetSet>item>subnetId"`
		Groups  []string `xml:"securityGroupInfo>item>groupId"`
	}
	for _, action := range []string{"DescribeSubnets", "DescribeSecurityGroups"} {
		// EC2 speaks another protocol than ECS.
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Endpoint, strings.NewReader(url.Values{"Action": {action}, "Version": {"2016-11-15"}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test-key/20260101/"+Region+"/ec2/aws4_request, SignedHeaders=host, Signature=none")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err == nil {
			err = xml.Unmarshal(body, &found)
		}
		if err != nil {
			t.Fatalf("%s: %v: %s", action, err, body)
		}
	}
	if len(found.Subnets) == 0 || len(found.Groups) == 0 {
		t.Fatalf("moto has no network: %+v", found)
	}
	return found.Subnets, found.Groups[0]
}
