"""Starts a rollout and watches it to its end, whatever breaks on the way. docs/grpc.md says how to run it.

What a client of Nightshift should do, it does:
- a deadline for each call, and an idempotency key for each command, so that asking again does nothing twice;
- asking again when the service says that it may help, and when;
- reading the details of an error, which are for programs, and never its sentence;
- resuming a stream from the position of the last answer.
"""

import argparse
import pathlib
import sys
import time
import uuid

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from nightshift.api.v1 import console_pb2, console_pb2_grpc, rollouts_pb2, rollouts_pb2_grpc
from nightshift.events.v1 import rollout_pb2

SECONDS_A_CALL = 10
TRIES = 60


def details(error):
    """The details of an error, by the names of their types."""
    status = rpc_status.from_call(error)
    found = {}
    for packed in status.details if status else []:
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo):
            if packed.Is(kind.DESCRIPTOR):
                found[kind.__name__] = message = kind()
                packed.Unpack(message)
    return found


def pause_before_trying_again(error):
    """How long to wait before asking again, in seconds; None if that would not help."""
    if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return None
    retry = details(error).get("RetryInfo")
    return retry.retry_delay.ToTimedelta().total_seconds() if retry else 0.5


def ask(method, request, token):
    """Asks until there is an answer. A command must have its idempotency key: it may have been carried out before."""
    for _ in range(TRIES):
        try:
            return method(request, timeout=SECONDS_A_CALL, metadata=bearer(token))
        except grpc.RpcError as error:
            pause = pause_before_trying_again(error)
            if pause is None:
                raise
            print(f"asking again: {error.code().name}", file=sys.stderr)
            time.sleep(pause)
    raise SystemExit("the services do not answer")


def bearer(token):
    """How a token is shown; over channels that are not encrypted only to a service on this machine."""
    return [("authorization", f"Bearer {token}")]


def connect(address, ca):
    if ca is None:
        return grpc.insecure_channel(address)
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(pathlib.Path(ca).read_bytes()))


def start(rollouts, arguments, token):
    # Without a policy, by the default one.
    request = rollouts_pb2.StartRolloutRequest(
        rollout=arguments.rollout,
        actor=rollout_pb2.Actor(name="example", reason=arguments.reason),
        idempotency_key=arguments.key or str(uuid.uuid4()),
    )
    for number, phase in enumerate(ask(rollouts.StartRollout, request, token).phases, start=1):
        print(f"phase {number}: {', '.join(region.region for region in phase.regions)}", flush=True)


def watch(console, rollout, token):
    """Every state of the rollout, each once, to its end."""
    position = ""
    for _ in range(TRIES):
        request = console_pb2.WatchRolloutRequest(rollout=rollout, after=position)
        try:
            for answer in console.WatchRollout(request, metadata=bearer(token)):
                position = answer.position
                yield answer.rollout
            return
        except grpc.RpcError as error:
            # A console may be behind: it hears of the rollout from the log, in moments.
            behind = position == "" and error.code() == grpc.StatusCode.NOT_FOUND
            pause = 0.2 if behind else pause_before_trying_again(error)
            if pause is None:
                raise
            print(f"resuming: {error.code().name}", file=sys.stderr, flush=True)
            time.sleep(pause)
    raise SystemExit("the console does not answer")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rollout", help="the new rollout's name")
    parser.add_argument("--planner", default="127.0.0.1:7701")
    parser.add_argument("--console", default="127.0.0.1:7700")
    parser.add_argument("--ca", help="whose certificate vouches for them, such as nightshift-data/door-authority.pem")
    parser.add_argument("--token-file", default="nightshift-data/admin.token")
    parser.add_argument("--reason", default="to show how")
    parser.add_argument("--key", help="the idempotency key of an earlier try")
    arguments = parser.parse_args()
    token = pathlib.Path(arguments.token_file).read_text().strip()
    try:
        planner = connect(arguments.planner, arguments.ca)
        start(rollouts_pb2_grpc.RolloutServiceStub(planner), arguments, token)
        console = console_pb2_grpc.ConsoleServiceStub(connect(arguments.console, arguments.ca))
        for rollout in watch(console, arguments.rollout, token):
            print(console_pb2.RolloutState.Name(rollout.state), flush=True)
    except grpc.RpcError as error:
        found = details(error)
        if "ErrorInfo" in found:
            print(f"refused: {found['ErrorInfo'].reason}", file=sys.stderr)
        for violation in found["BadRequest"].field_violations if "BadRequest" in found else []:
            print(f"{violation.field}: {violation.description}", file=sys.stderr)
        raise SystemExit(f"{error.code().name}: {error.details()}") from None


if __name__ == "__main__":
    main()
