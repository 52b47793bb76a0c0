package echo

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"
)

// TCPWelcome is what the TCP echo sends to a client that has connected.
const TCPWelcome = "Gateway API Test TCP Server\n"

// tcpService serves TCP or TLS.
type tcpService struct {
	server   *Server
	protocol Protocol
	listener net.Listener
	conns    tracker
}

var _ service = (*tcpService)(nil)

func newTCPService(s *Server, p Protocol, l net.Listener) *tcpService {
	if p == TLS {
		l = tls.NewListener(l, s.tlsConfig(s.opts.TLS.NextProtos...))
	}
	return &tcpService{server: s, protocol: p, listener: l}
}

func (t *tcpService) serve() error {
	for {
		conn, err := t.listener.Accept()
		if err != nil {
			// Out of file descriptors, or a client that left at once: the
			// listener is sound, and the next connection may be.
			var temporary interface{ Temporary() bool }
			if errors.As(err, &temporary) && temporary.Temporary() {
				time.Sleep(10 * time.Millisecond)
				continue
			}
			return err
		}
		// Whoever waits for a line stops waiting; an answer being written is not
		// touched.
		hangUp := func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) }
		if !t.conns.add(conn, hangUp) {
			_ = conn.Close() // nothing was promised to it
			return net.ErrClosed
		}
		go func() {
			defer t.conns.remove(conn)
			if err := t.handle(conn); err != nil {
				t.server.log.Debug("connection ended", "protocol", string(t.protocol),
					"client", conn.RemoteAddr().String(), "error", err)
			}
			_ = conn.Close() // the answer is out, or the client is gone
		}()
	}
}

func (t *tcpService) handle(conn net.Conn) error {
	answer := TCPResponse{
		Identity: t.server.opts.Identity,
		TCPPort:  t.server.port(TCP),
		TLSPort:  t.server.port(TLS),
	}
	if tlsConn, ok := conn.(*tls.Conn); ok {
		// Before the welcome, so that its error is told from a write's.
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := tlsConn.HandshakeContext(ctx); err != nil {
			return fmt.Errorf("TLS handshake: %w", err)
		}
		state := tlsConn.ConnectionState()
		answer.IsTLS = true
		answer.TLS = &TCPTLSState{
			Version:            tls.VersionName(state.Version),
			ServerName:         state.ServerName,
			NegotiatedProtocol: state.NegotiatedProtocol,
			Curves:             state.CurveID.String(),
			CipherSuite:        tls.CipherSuiteName(state.CipherSuite),
		}
	}
	about, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprint(conn, TCPWelcome); err != nil {
		return err
	}
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		reply := lines.Text()
		switch reply {
		case "TEST":
			reply = string(about)
		case "IS_TLS":
			reply = fmt.Sprint(answer.IsTLS)
		case "PING":
			reply = "PONG"
		}
		if _, err := fmt.Fprintln(conn, reply); err != nil {
			return err
		}
	}
	return lines.Err()
}

func (t *tcpService) shutdown(ctx context.Context) error {
	_ = t.listener.Close() // a second shutdown finds it closed
	return t.conns.drain(ctx)
}
