// Prints etcd's wire contract, as compiled into its own packages, as sorted text lines:
//
//	field   <message>.<field> <number> <type> <label> <oneof or -> <json name>
//	value   <enum>.<value> <number>
//	method  <service>/<method> <input> <output> <unary|client|server|both>
//
// The test `descriptors` prints the same lines from the product's own descriptors and compares.
package main

import (
	"fmt"
	"sort"

	"go.etcd.io/etcd/api/v3/authpb"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/reflect/protoreflect"
)

func main() {
	var lines []string
	emit := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, file := range []protoreflect.FileDescriptor{
		authpb.File_auth_proto,
		etcdserverpb.File_rpc_proto,
		mvccpb.File_kv_proto,
		v3electionpb.File_v3election_proto,
		v3lockpb.File_v3lock_proto,
		healthpb.File_grpc_health_v1_health_proto,
	} {
		messages(file.Messages(), emit)
		enums(file.Enums(), emit)
		services(file.Services(), emit)
	}
	sort.Strings(lines)
	for _, line := range lines {
		fmt.Println(line)
	}
}

func messages(all protoreflect.MessageDescriptors, emit func(string, ...any)) {
	for i := 0; i < all.Len(); i++ {
		message := all.Get(i)
		emit("message %s", message.FullName())
		for j := 0; j < message.Fields().Len(); j++ {
			field := message.Fields().Get(j)
			oneof := "-"
			if field.ContainingOneof() != nil {
				oneof = string(field.ContainingOneof().Name())
			}
			emit("field %s %d %s %s %s %s", field.FullName(), field.Number(), typeOf(field),
				field.Cardinality(), oneof, field.JSONName())
		}
		messages(message.Messages(), emit)
		enums(message.Enums(), emit)
	}
}

func typeOf(field protoreflect.FieldDescriptor) string {
	switch field.Kind() {
	case protoreflect.MessageKind:
		return string(field.Message().FullName())
	case protoreflect.EnumKind:
		return string(field.Enum().FullName())
	}
	return field.Kind().String()
}

func enums(all protoreflect.EnumDescriptors, emit func(string, ...any)) {
	for i := 0; i < all.Len(); i++ {
		enum := all.Get(i)
		for j := 0; j < enum.Values().Len(); j++ {
			value := enum.Values().Get(j)
			emit("value %s.%s %d", enum.FullName(), value.Name(), value.Number())
		}
	}
}

func services(all protoreflect.ServiceDescriptors, emit func(string, ...any)) {
	for i := 0; i < all.Len(); i++ {
		service := all.Get(i)
		for j := 0; j < service.Methods().Len(); j++ {
			method := service.Methods().Get(j)
			streaming := [...]string{"unary", "client", "server", "both"}
			kind := 0
			if method.IsStreamingClient() {
				kind |= 1
			}
			if method.IsStreamingServer() {
				kind |= 2
			}
			emit("method %s/%s %s %s %s", service.FullName(), method.Name(),
				method.Input().FullName(), method.Output().FullName(), streaming[kind])
		}
	}
}
