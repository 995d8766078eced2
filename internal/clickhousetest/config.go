package clickhousetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// The server is in another zone than UTC: days are to be what they are in UTC
// wherever it is.
const configXML = `<yandex>
  <timezone>America/New_York</timezone>
  <logger><level>warning</level><log>%[1]s/server.log</log><errorlog>%[1]s/server.err.log</errorlog></logger>
  <listen_host>127.0.0.1</listen_host>
  <tcp_port>%[2]d</tcp_port>
  <tcp_port_secure>%[3]d</tcp_port_secure>
  <openSSL><server>
    <certificateFile>%[1]s/cert.pem</certificateFile><privateKeyFile>%[1]s/key.pem</privateKeyFile>
    <verificationMode>none</verificationMode><loadDefaultCAFile>false</loadDefaultCAFile>
  </server></openSSL>
  <path>%[1]s/data/</path>
  <tmp_path>%[1]s/tmp/</tmp_path>
  <user_files_path>%[1]s/user_files/</user_files_path>
  <format_schema_path>%[1]s/format_schemas/</format_schema_path>
  <mark_cache_size>268435456</mark_cache_size>
  <users_config>%[1]s/users.xml</users_config>
  <default_profile>default</default_profile>
  <default_database>default</default_database>
  <merge_tree><old_parts_lifetime>1</old_parts_lifetime></merge_tree>
  <query_log><database>system</database><table>query_log</table><flush_interval_milliseconds>100</flush_interval_milliseconds></query_log>
</yandex>
`

const usersXML = `<yandex>
  <profiles><default><log_queries>1</log_queries></default><readonly><readonly>1</readonly></readonly></profiles>
  <quotas><default/></quotas>
  <users>
    <%[1]s><password>%[2]s</password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></%[1]s>
    <%[3]s><password>%[2]s</password><networks><ip>127.0.0.1</ip></networks><profile>readonly</profile><quota>default</quota></%[3]s>
  </users>
</yandex>
`

// configure writes the files that the server reads at its start.
func (s *Server) configure() error {
	s.CAFile = filepath.Join(s.dir, "cert.pem")
	cert, key, err := newCertificate()
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"config.xml": fmt.Appendf(nil, configXML, s.dir, s.Port, s.TLSPort),
		"users.xml":  fmt.Appendf(nil, usersXML, s.Username, escape.Replace(s.Password), s.ReadOnly),
		"cert.pem":   cert,
		"key.pem":    key,
	} {
		if err := os.WriteFile(filepath.Join(s.dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// newCertificate makes one for 127.0.0.1 that is its own root.
func newCertificate() (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "clickhouse"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, nil, err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), nil
}
