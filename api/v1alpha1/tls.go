package v1alpha1

// TLSSettings are the settings of TLS that clients and servers have in common.
//
// +kubebuilder:validation:XValidation:rule="has(self.minVersion) && self.minVersion == '1.3' ? !has(self.ciphers) : true",message="ciphers have no effect when minVersion is 1.3"
// +kubebuilder:validation:XValidation:rule="has(self.minVersion) && has(self.maxVersion) ? {'Auto':0,'1.0':1,'1.1':2,'1.2':3,'1.3':4}[self.minVersion] <= {'1.0':1,'1.1':2,'1.2':3,'1.3':4,'Auto':5}[self.maxVersion] : !has(self.minVersion) && has(self.maxVersion) ? 3 <= {'1.0':1,'1.1':2,'1.2':3,'1.3':4,'Auto':5}[self.maxVersion] : true",message="minVersion (default 1.2) must not be above maxVersion"
type TLSSettings struct {
	// MinVersion is the lowest version of TLS that is spoken. Default: 1.2.
	// +optional
	MinVersion *TLSVersion `json:"minVersion,omitempty"`

	// MaxVersion is the highest version of TLS that is spoken. Default: 1.3.
	// +optional
	MaxVersion *TLSVersion `json:"maxVersion,omitempty"`

	// Ciphers are the cipher suites for TLS up to 1.2, by their names in
	// BoringSSL. Default: Envoy's.
	// +optional
	Ciphers []string `json:"ciphers,omitempty"`

	// ECDHCurves are the curves for the key exchange. Default: Envoy's.
	// +optional
	ECDHCurves []string `json:"ecdhCurves,omitempty"`

	// SignatureAlgorithms are the algorithms for signatures. Default: Envoy's.
	// +optional
	SignatureAlgorithms []string `json:"signatureAlgorithms,omitempty"`

	// ALPNProtocols are the protocols to offer, the preferred first. An empty list
	// turns ALPN off.
	// +optional
	ALPNProtocols []ALPNProtocol `json:"alpnProtocols,omitempty"`

	// Fingerprints are the fingerprints of the client's hello to compute, for
	// access logs and headers.
	// +optional
	Fingerprints []TLSFingerprint `json:"fingerprints,omitempty"`
}

// ALPNProtocol is the name of a protocol in ALPN, such as h2 and http/1.1.
type ALPNProtocol string

// TLSVersion is a version of TLS, or Auto for Envoy's choice.
//
// +kubebuilder:validation:Enum=Auto;"1.0";"1.1";"1.2";"1.3"
type TLSVersion string

const (
	// TLSAuto leaves the choice to Envoy.
	TLSAuto TLSVersion = "Auto"
	// TLSv10 is TLS 1.0.
	TLSv10 TLSVersion = "1.0"
	// TLSv11 is TLS 1.1.
	TLSv11 TLSVersion = "1.1"
	// TLSv12 is TLS 1.2.
	TLSv12 TLSVersion = "1.2"
	// TLSv13 is TLS 1.3.
	TLSv13 TLSVersion = "1.3"
)

// TLSFingerprint is a way to tell clients apart by their hello.
//
// +kubebuilder:validation:Enum=JA3;JA4
type TLSFingerprint string
