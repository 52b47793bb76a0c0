// Package pki makes and rotates the certificates with which the controller and its
// proxies know each other. There is no job and no restart: one replica, the leader,
// keeps Secrets; every replica serves by what is in them at the moment of a handshake;
// the kubelet brings renewed Secrets into the pods of proxies, and Envoy reads them
// again.
//
// # The Secrets
//
// All are of type kubernetes.io/tls and labelled control-plane=envoy-gateway.
//
//	envoy-gateway-ca  tls.crt, tls.key   the CA that signs
//	                  next.crt, next.key the CA that will sign, once all trust it
//	                  ca.crt             every CA that is trusted: the bundle
//	envoy-gateway-server
//	                  tls.crt, tls.key   the controller's own certificate
//	                  ca.crt             the bundle, to verify proxies
//	one for a fleet   tls.crt, tls.key   a client certificate whose URI names the fleet
//	                  ca.crt             the bundle, to verify the controller
//
// None has a name that Envoy Gateway's certgen uses: its Secrets are left as they are, so
// that an upgrade from it that fails can be rolled back.
//
// # Rotation
//
// A leaf is renewed when a part of its time is left ([Options]). A CA gets a successor
// when a part of its time is left. The successor first enters the bundle of every
// Secret, and signs when the last of these has been out for the propagation time: the
// kubelet takes up to about 90 seconds to bring a changed Secret into a pod. The old CA
// stays in the bundle until it expires. No leaf outlives the CA that signed it, so that
// by then nothing that the old one signed is valid any more.
//
// # What is found in place of a Secret
//
// A Secret with the label is ours: if it is damaged, of another type or signed by a CA
// that is not in the bundle, it is replaced. A
// Secret without the label belongs to somebody else: it is left alone, and what needs
// the name fails with [ErrForeign] until somebody decides.
//
// A damaged envoy-gateway-ca gets a new signer, and CAs that can still be read in its
// ca.crt stay trusted, so that nobody is cut off. Deleting it revokes everything: from
// then on no certificate is trusted that was signed before. Proxies keep their
// configuration and are connected again when the kubelet has brought the new Secrets.
//
// # Two leaders
//
// While a lease changes hands two replicas may believe to lead. A write carries the
// resourceVersion that it is based on, so one of two loses, reads again and finds
// nothing left to do; and each sees by its watch what the other wrote.
package pki
