package echo

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// rawCodec hands bytes through, so that the test sees the wire and not what the
// server's own description makes of it.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) ([]byte, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("cannot send a %T", v)
	}
	return b, nil
}

func (rawCodec) Unmarshal(data []byte, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("cannot receive a %T", v)
	}
	*b = append([]byte(nil), data...)
	return nil
}

// fields reads one message: the values of each field number, in order.
func fields(t *testing.T, message []byte) map[protowire.Number][]string {
	t.Helper()
	got := map[protowire.Number][]string{}
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 || kind != protowire.BytesType {
			t.Fatalf("field %d of type %d", number, kind)
		}
		value, m := protowire.ConsumeBytes(message[n:])
		if m < 0 {
			t.Fatal(protowire.ParseError(m))
		}
		got[number] = append(got[number], string(value))
		message = message[n+m:]
	}
	return got
}

func dialGRPC(t *testing.T, s *Server, p Protocol) *grpc.ClientConn {
	t.Helper()
	creds := insecure.NewCredentials()
	if p == GRPCS {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(s.CertificatePEM())
		creds = credentials.NewClientTLSFromCert(roots, "cart.shop.svc")
	}
	conn, err := grpc.NewClient("passthrough:///"+s.Addr(p).String(), grpc.WithTransportCredentials(creds), grpc.WithAuthority("cart.shop.svc"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// Field numbers are those of the suite's grpcecho.proto.
func TestGRPCAnswersOnTheWireOfTheConformanceSuite(t *testing.T) {
	s := start(t, GRPC, GRPCS)
	for _, p := range []Protocol{GRPC, GRPCS} {
		for _, method := range []string{"Echo", "EchoTwo"} {
			t.Run(string(p)+" "+method, func(t *testing.T) {
				full := "/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/" + method
				ctx := metadata.NewOutgoingContext(t.Context(), metadata.Pairs("x-team", "one", "x-team", "two", "x-raw-bin", "\xff\x01"))
				var raw []byte
				if err := dialGRPC(t, s, p).Invoke(ctx, full, []byte{}, &raw, grpc.ForceCodec(rawCodec{})); err != nil {
					t.Fatal(err)
				}
				assertions := fields(t, []byte(fields(t, raw)[1][0]))
				if got := assertions[1]; len(got) != 1 || got[0] != full {
					t.Errorf("method %q, want %q", got, full)
				}
				if got := assertions[3]; len(got) != 1 || got[0] != "cart.shop.svc" {
					t.Errorf("authority %q", got)
				}
				var headers []string
				for _, h := range assertions[2] {
					header := fields(t, []byte(h))
					headers = append(headers, header[1][0]+"="+header[2][0])
				}
				for _, want := range []string{"x-team=one", "x-team=two", "x-raw-bin=/wE=", ":authority=cart.shop.svc"} {
					if !strings.Contains(" "+strings.Join(headers, " ")+" ", " "+want+" ") {
						t.Errorf("no %q in %q", want, headers)
					}
				}
				context := fields(t, []byte(assertions[4][0]))
				for number, want := range []string{1: "shop", 2: "eg", 3: "cart", 4: "cart-0"} {
					if got := context[protowire.Number(number)]; number > 0 && (len(got) != 1 || got[0] != want) {
						t.Errorf("context field %d: %q, want %q", number, got, want)
					}
				}
				if p == GRPC {
					if len(assertions[5]) > 0 {
						t.Errorf("in the clear, and yet TLS %q", assertions[5])
					}
					return
				}
				tls := fields(t, []byte(assertions[5][0]))
				for number, want := range []string{1: "TLSv1.3", 2: "h2", 3: "cart.shop.svc"} {
					if got := tls[protowire.Number(number)]; number > 0 && (len(got) != 1 || got[0] != want) {
						t.Errorf("TLS field %d: %q, want %q", number, got, want)
					}
				}
			})
		}
	}
}

func TestGRPCEchoThreeIsUnimplemented(t *testing.T) {
	s := start(t, GRPC)
	var raw []byte
	err := dialGRPC(t, s, GRPC).Invoke(t.Context(), "/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/EchoThree",
		[]byte{}, &raw, grpc.ForceCodec(rawCodec{}))
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("error %v, want unimplemented", err)
	}
}

func TestGRPCHealthAndReflection(t *testing.T) {
	s := start(t, GRPC)
	conn := dialGRPC(t, s, GRPC)
	health, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil || health.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("health %v, %v", health, err)
	}

	stream, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(symbol string) *reflectionpb.ServerReflectionResponse {
		t.Helper()
		err := stream.Send(&reflectionpb.ServerReflectionRequest{
			MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: symbol},
		})
		response, err2 := stream.Recv()
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		return response
	}
	for _, symbol := range []string{grpcServiceName, grpcServiceName + ".Echo", "gateway_api_conformance.echo_basic.grpcecho.Assertions"} {
		files := ask(symbol).GetFileDescriptorResponse().GetFileDescriptorProto()
		if len(files) != 1 {
			t.Fatalf("%s: %d files", symbol, len(files))
		}
		var file descriptorpb.FileDescriptorProto
		if err := proto.Unmarshal(files[0], &file); err != nil {
			t.Fatal(err)
		}
		if len(file.GetService()) != 1 || len(file.GetService()[0].GetMethod()) != 3 || len(file.GetMessageType()) != 6 {
			t.Errorf("%s: described as %v", symbol, &file)
		}
	}
	if ask(grpcServiceName+".Nothing").GetErrorResponse() == nil {
		t.Error("a method that is not there is described")
	}
}
