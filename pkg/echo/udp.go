package echo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
)

type udpService struct {
	server *Server
	conn   net.PacketConn
}

var _ service = (*udpService)(nil)

func (u *udpService) serve() error {
	// The largest payload that a UDP header can announce.
	buffer := make([]byte, 65_535)
	for {
		n, client, err := u.conn.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err != nil {
			// An ICMP error for an earlier answer shows up here; the socket is sound.
			u.server.log.Debug("datagram not read", "error", err)
			continue
		}
		if err := u.answer(buffer[:n], client); err != nil {
			u.server.log.Debug("datagram not answered", "client", client.String(), "error", err)
		}
	}
}

func (u *udpService) answer(request []byte, client net.Addr) error {
	body, err := json.Marshal(UDPResponse{Request: string(request), Identity: u.server.opts.Identity})
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	_, err = u.conn.WriteTo(body, client)
	return err
}

// shutdown has nothing to wait for: a datagram is answered before the next read.
func (u *udpService) shutdown(context.Context) error {
	if err := u.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
