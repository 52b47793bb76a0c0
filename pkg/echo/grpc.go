package echo

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"maps"
	"net"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/reflection"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

// grpcService serves GRPC or GRPCS.
type grpcService struct {
	server   *Server
	protocol Protocol
	listener net.Listener
	grpc     *grpc.Server
	file     protoreflect.FileDescriptor
}

var _ service = (*grpcService)(nil)

func newGRPCService(s *Server, p Protocol, l net.Listener, file protoreflect.FileDescriptor) *grpcService {
	var options []grpc.ServerOption
	if p == GRPCS {
		options = append(options, grpc.Creds(credentials.NewTLS(s.tlsConfig("h2"))))
	}
	g := &grpcService{server: s, protocol: p, listener: l, grpc: grpc.NewServer(options...), file: file}
	g.grpc.RegisterService(&grpc.ServiceDesc{
		ServiceName: grpcServiceName,
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{
			{MethodName: "Echo", Handler: g.handler("Echo")},
			{MethodName: "EchoTwo", Handler: g.handler("EchoTwo")},
			// It exists in the schema and not in the server: tests want to see
			// what a gateway does with Unimplemented.
			{MethodName: "EchoThree", Handler: unimplemented},
		},
		Metadata: file.Path(),
	}, g)
	healthpb.RegisterHealthServer(g.grpc, health.NewServer())
	reflectionpb.RegisterServerReflectionServer(g.grpc, reflection.NewServerV1(reflection.ServerOptions{
		Services:           g.grpc,
		DescriptorResolver: descriptorResolver{file},
	}))
	return g
}

// descriptorResolver knows the echo's file, and the process's others.
type descriptorResolver struct{ file protoreflect.FileDescriptor }

var _ protodesc.Resolver = descriptorResolver{}

// FindFileByPath implements [protodesc.Resolver].
func (r descriptorResolver) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	if path == r.file.Path() {
		return r.file, nil
	}
	return protoregistry.GlobalFiles.FindFileByPath(path)
}

// FindDescriptorByName implements [protodesc.Resolver].
func (r descriptorResolver) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	rest, ok := strings.CutPrefix(string(name), string(r.file.Package())+".")
	if !ok {
		return protoregistry.GlobalFiles.FindDescriptorByName(name)
	}
	if d := r.file.Messages().ByName(protoreflect.Name(rest)); d != nil {
		return d, nil
	}
	service, method, _ := strings.Cut(rest, ".")
	if d := r.file.Services().ByName(protoreflect.Name(service)); d != nil {
		if method == "" {
			return d, nil
		}
		if m := d.Methods().ByName(protoreflect.Name(method)); m != nil {
			return m, nil
		}
	}
	return nil, protoregistry.NotFound
}

func unimplemented(any, context.Context, func(any) error, grpc.UnaryServerInterceptor) (any, error) {
	return nil, status.Error(codes.Unimplemented, "method EchoThree not implemented")
}

// handler answers one method. Its type is grpc's.
func (g *grpcService) handler(method string) grpc.MethodHandler {
	return func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		request := dynamicpb.NewMessage(g.file.Messages().ByName("EchoRequest"))
		if err := decode(request); err != nil {
			return nil, err
		}
		g.server.log.DebugContext(ctx, "request", "protocol", string(g.protocol), "method", method)

		response := g.message("EchoResponse")
		assertions := response.child("assertions")
		assertions.set("fully_qualified_method", "/"+grpcServiceName+"/"+method)

		md, _ := metadata.FromIncomingContext(ctx)
		if authority := md.Get(":authority"); len(authority) > 0 {
			assertions.set("authority", authority[0])
		}
		for _, key := range slices.Sorted(maps.Keys(md)) {
			for _, value := range md[key] {
				header := assertions.appendTo("headers")
				header.set("key", key)
				// Binary headers arrive decoded; a proto3 string cannot hold them so.
				if strings.HasSuffix(key, "-bin") {
					value = base64.StdEncoding.EncodeToString([]byte(value))
				}
				header.set("value", value)
			}
		}

		identity := assertions.child("context")
		identity.set("namespace", g.server.opts.Identity.Namespace)
		identity.set("ingress", g.server.opts.Identity.Ingress)
		identity.set("service_name", g.server.opts.Identity.Service)
		identity.set("pod", g.server.opts.Identity.Pod)

		if state := tlsState(connectionState(ctx)); state != nil {
			t := assertions.child("tls_assertions")
			t.set("version", state.Version)
			t.set("negotiated_protocol", state.NegotiatedProtocol)
			t.set("server_name", state.ServerName)
			t.set("cipher_suite", state.CipherSuite)
			for _, cert := range state.PeerCertificates {
				t.appendText("peer_certificates", cert)
			}
		}
		return response.Message, nil
	}
}

// connectionState is the TLS state of the connection of ctx, nil in the clear.
func connectionState(ctx context.Context) *tls.ConnectionState {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return nil
	}
	return &info.State
}

// message sets fields by name. The names are those of [describeGRPC]; a wrong
// one does not survive the first test.
type message struct{ *dynamicpb.Message }

func (g *grpcService) message(name protoreflect.Name) message {
	return message{dynamicpb.NewMessage(g.file.Messages().ByName(name))}
}

func (m message) field(name protoreflect.Name) protoreflect.FieldDescriptor {
	return m.Descriptor().Fields().ByName(name)
}

func (m message) set(field protoreflect.Name, value string) {
	m.Set(m.field(field), protoreflect.ValueOfString(strings.ToValidUTF8(value, "\uFFFD")))
}

func (m message) child(field protoreflect.Name) message {
	return message{m.Mutable(m.field(field)).Message().Interface().(*dynamicpb.Message)}
}

func (m message) appendTo(field protoreflect.Name) message {
	return message{m.Mutable(m.field(field)).List().AppendMutable().Message().Interface().(*dynamicpb.Message)}
}

func (m message) appendText(field protoreflect.Name, value string) {
	m.Mutable(m.field(field)).List().Append(protoreflect.ValueOfString(value))
}

func (g *grpcService) serve() error { return g.grpc.Serve(g.listener) }

func (g *grpcService) shutdown(ctx context.Context) error {
	done := make(chan struct{})
	go func() { g.grpc.GracefulStop(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		g.grpc.Stop()
		<-done
		return ctx.Err()
	}
}
