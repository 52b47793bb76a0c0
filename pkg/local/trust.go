package local

import "os"

// systemTrust finds the file with the CA certificates that this machine trusts:
// distributions do not agree on its name. def is returned if there is none.
func systemTrust(def string) string {
	for _, name := range []string{
		def,                                // Debian, Ubuntu, Alpine, Arch
		"/etc/pki/tls/certs/ca-bundle.crt", // Fedora, RHEL
		"/etc/ssl/ca-bundle.pem",           // openSUSE
		"/etc/ssl/cert.pem",                // macOS, Alpine
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	} {
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			return name
		}
	}
	return def
}
