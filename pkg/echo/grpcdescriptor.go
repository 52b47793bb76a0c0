package echo

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// grpcServiceName is the service of the conformance suite's gRPC tests.
const grpcServiceName = "gateway_api_conformance.echo_basic.grpcecho.GrpcEcho"

// describeGRPC describes that service and its messages, wire for wire.
//
// It is no generated package because generated packages register themselves for
// the whole process under their protobuf names, and a program that also holds
// the suite's own package would then refuse to start. That program exists: it
// is the one that runs the conformance tests.
func describeGRPC() (protoreflect.FileDescriptor, error) {
	message := func(name string, fields ...*descriptorpb.FieldDescriptorProto) *descriptorpb.DescriptorProto {
		for i, f := range fields {
			f.Number = proto.Int32(int32(i + 1))
		}
		return &descriptorpb.DescriptorProto{Name: proto.String(name), Field: fields}
	}
	text := func(name string) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{
			Name:  proto.String(name),
			Type:  descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(),
			Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
	}
	nested := func(name, kind string) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{
			Name:     proto.String(name),
			Type:     descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(),
			TypeName: proto.String(kind),
			Label:    descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
	}
	repeated := func(f *descriptorpb.FieldDescriptorProto) *descriptorpb.FieldDescriptorProto {
		f.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		return f
	}
	method := func(name string) *descriptorpb.MethodDescriptorProto {
		return &descriptorpb.MethodDescriptorProto{
			Name: proto.String(name), InputType: proto.String("EchoRequest"), OutputType: proto.String("EchoResponse"),
		}
	}

	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name:    proto.String("grpcecho.proto"),
		Package: proto.String("gateway_api_conformance.echo_basic.grpcecho"),
		Syntax:  proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{
			message("Header", text("key"), text("value")),
			message("Context", text("namespace"), text("ingress"), text("service_name"), text("pod")),
			message("TLSAssertions", text("version"), text("negotiated_protocol"), text("server_name"),
				text("cipher_suite"), repeated(text("peer_certificates"))),
			message("Assertions", text("fully_qualified_method"), repeated(nested("headers", "Header")),
				text("authority"), nested("context", "Context"), nested("tls_assertions", "TLSAssertions")),
			message("EchoRequest"),
			message("EchoResponse", nested("assertions", "Assertions"), nested("request", "EchoRequest")),
		},
		Service: []*descriptorpb.ServiceDescriptorProto{{
			Name:   proto.String("GrpcEcho"),
			Method: []*descriptorpb.MethodDescriptorProto{method("Echo"), method("EchoTwo"), method("EchoThree")},
		}},
	}, new(protoregistry.Files))
	if err != nil {
		return nil, fmt.Errorf("describe the gRPC echo service: %w", err)
	}
	return file, nil
}
