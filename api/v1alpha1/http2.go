package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// HTTP2Settings hold settings of HTTP/2.
type HTTP2Settings struct {
	// InitialStreamWindowSize is the flow control window of a stream in bytes, from
	// 65535 to 2147483647. Default: 64Ki.
	// +optional
	InitialStreamWindowSize *resource.Quantity `json:"initialStreamWindowSize,omitempty"`

	// InitialConnectionWindowSize is the flow control window of a connection in
	// bytes, from 65535 to 2147483647. Default: 1Mi.
	// +optional
	InitialConnectionWindowSize *resource.Quantity `json:"initialConnectionWindowSize,omitempty"`

	// MaxConcurrentStreams bounds the streams of a connection. Default: 100.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2147483647
	MaxConcurrentStreams *int32 `json:"maxConcurrentStreams,omitempty"`

	// OnInvalidMessage says what ends when a message is against the protocol.
	// Default: TerminateConnection.
	// +optional
	OnInvalidMessage *InvalidMessageAction `json:"onInvalidMessage,omitempty"`

	// ConnectionKeepalive sends pings.
	// +optional
	ConnectionKeepalive *HTTP2ConnectionKeepalive `json:"connectionKeepalive,omitempty"`
}

// InvalidMessageAction says what ends when a message is against the protocol.
//
// +kubebuilder:validation:Enum=TerminateConnection;TerminateStream
type InvalidMessageAction string

const (
	// InvalidMessageActionTerminateConnection ends the connection.
	InvalidMessageActionTerminateConnection InvalidMessageAction = "TerminateConnection"
	// InvalidMessageActionTerminateStream ends the stream alone.
	InvalidMessageActionTerminateStream InvalidMessageAction = "TerminateStream"
)

// HTTP2ConnectionKeepalive sends pings.
type HTTP2ConnectionKeepalive struct {
	// Interval is the time between pings. Absent: none are sent.
	// +optional
	Interval *gwapiv1.Duration `json:"interval,omitempty"`

	// Timeout is the time to wait for the answer.
	// +optional
	Timeout *gwapiv1.Duration `json:"timeout,omitempty"`

	// IntervalJitter is the random part of the interval, in percent.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	IntervalJitter *int32 `json:"intervalJitter,omitempty"`

	// IdleInterval is how long a connection may be idle before a ping goes ahead
	// of the next request.
	// +optional
	IdleInterval *gwapiv1.Duration `json:"idleInterval,omitempty"`
}
