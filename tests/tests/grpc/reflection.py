"""A client that has no proto files: what it calls, it finds by reflection."""

import os

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

METADATA = [("authorization", "Bearer " + os.environ["TOKEN"])]
channel = grpc.insecure_channel(os.environ["CONSOLE"])
database = ProtoReflectionDescriptorDatabase(channel)
pool = DescriptorPool(database)

services = sorted(database.get_services())
print("services", *services)


def call(service, name, request):
    method = pool.FindServiceByName(service).FindMethodByName(name)
    ask = message_factory.GetMessageClass(method.input_type)
    answer = message_factory.GetMessageClass(method.output_type)
    kind = channel.unary_stream if method.server_streaming else channel.unary_unary
    stub = kind(
        f"/{service}/{name}",
        request_serializer=ask.SerializeToString,
        response_deserializer=answer.FromString,
    )
    return stub(json_format.ParseDict(request, ask()), metadata=METADATA, timeout=30)


found = call("nightshift.api.v1.ConsoleService", "ListVms", {"region": "west-europe", "pageSize": 3})
print("vms", *(vm.vm.id for vm in found.vms))
events = call("nightshift.api.v1.ConsoleService", "ReadEvents", {"partition": "fleet", "after": 2})
positions = [event.position for event in events]
print("events", positions[0], positions[-1] - positions[0] + 1 == len(positions))
