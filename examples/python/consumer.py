#!/usr/bin/env python3
"""Every event of Nightshift's log in a table, each exactly once, whenever this program is killed.

    nightshift nats-users /etc/nats/nightshift --consumer warehouse      # makes its user: docs/events.md
    pip install 'nats-py[nkeys]' protobuf grpcio-tools
    python -m grpc_tools.protoc -I proto --python_out=generated proto/nightshift/events/v1/*.proto
    PYTHONPATH=generated python examples/python/consumer.py \
        nats://127.0.0.1:4222 warehouse /etc/nats/nightshift/warehouse.nk warehouse.sqlite

How nothing is lost and nothing comes twice: an event and the position in its stream go into the database in one
transaction, and only then is the event acknowledged. Whoever is killed between the two is sent the event once more,
and knows it by its position. To read again from anywhere, change the table `positions` (or begin with a new file)
and start again: what the table says is what counts. An error ends the program; let a supervisor start it anew.
"""

import asyncio
import json
import sqlite3
import sys

import nats
from google.protobuf.json_format import MessageToDict
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError
from nightshift.events.v1 import event_pb2

BATCH = 200  # events of one transaction, at most
LOOK_FOR_STREAMS = 2  # seconds: a region's stream is made with its first event
REDELIVER_AFTER = 5  # seconds without an acknowledgement


async def main(address: str, name: str, seed: str, database: str) -> None:
    table = Table(database)
    connection = await nats.connect(address, nkeys_seed=seed, inbox_prefix=f"_INBOX_{name}")
    jetstream = connection.jetstream()
    followed: set[str] = set()
    async with asyncio.TaskGroup() as tasks:
        while True:
            for stream in [info.config.name for info in await jetstream.streams_info()]:
                if stream.startswith("nightshift_") and stream not in followed:
                    followed.add(stream)
                    tasks.create_task(follow(jetstream, stream, name, table))
            await asyncio.sleep(LOOK_FOR_STREAMS)


async def follow(jetstream, stream: str, name: str, table: "Table") -> None:
    """Takes a partition's events in order, for ever."""
    place = table.position(stream)
    await have_consumer(jetstream, stream, name, place)
    subscription = await jetstream.pull_subscribe_bind(name, stream)
    while True:
        try:
            messages = await subscription.fetch(BATCH, timeout=REDELIVER_AFTER)
        except asyncio.TimeoutError:  # nothing came; nats-py has its own kind of it too
            continue
        taken = []
        for message in messages:
            position = message.metadata.sequence.stream
            if position == place + len(taken) + 1:
                taken.append(message)
            elif position > place:
                # What lies between was sent before and not acknowledged: it comes again, and this after it.
                await message.nak(delay=1)
        table.add(stream, [row(message) for message in taken], place + len(taken))
        place += len(taken)
        for message in messages:
            if message.metadata.sequence.stream <= place:
                await message.ack()


async def have_consumer(jetstream, stream: str, name: str, place: int) -> None:
    """The durable consumer of this name, which goes on after our own position."""
    try:
        there = await jetstream.consumer_info(stream, name)
        if there.ack_floor.stream_seq <= place:
            return
        # Our table is an older one, of a backup perhaps: what was acknowledged since is not in it.
        await jetstream.delete_consumer(stream, name)
    except NotFoundError:
        pass
    config = ConsumerConfig(
        durable_name=name,
        name=name,
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=place + 1,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=REDELIVER_AFTER,
        max_ack_pending=BATCH,
    )
    await jetstream.add_consumer(stream, config)


def row(message) -> tuple:
    """The event as a row: its CloudEvents attributes are headers, its body is protobuf."""
    event = event_pb2.Event.FromString(message.data)
    kind = event.WhichOneof("kind")
    # A kind that this program's contract does not know yet is kept as it came.
    data = kind and MessageToDict(getattr(event, kind), always_print_fields_with_no_presence=True)
    headers = message.headers
    position = message.metadata.sequence.stream
    attributes = [headers[f"ce-{name}"] for name in ("id", "type", "source", "subject", "time")]
    # With these and the payload chains.py can prove later that nothing was changed.
    chained = [headers.get(f"ce-{name}") for name in ("previoushash", "traceparent", "command")]
    return (*attributes, *chained, message.metadata.stream, position, json.dumps(data), message.data)


class Table:
    """The events, and how far they go."""

    def __init__(self, path: str) -> None:
        self.database = sqlite3.connect(path)
        self.database.execute("PRAGMA journal_mode = WAL")
        self.database.execute("PRAGMA synchronous = FULL")
        self.database.execute(
            "CREATE TABLE IF NOT EXISTS events (id TEXT PRIMARY KEY, type TEXT, source TEXT, subject TEXT, time TEXT,"
            " previous_hash TEXT, traceparent TEXT, command TEXT,"
            " stream TEXT, position INTEGER, data TEXT, payload BLOB)"
        )
        self.database.execute("CREATE TABLE IF NOT EXISTS positions (stream TEXT PRIMARY KEY, position INTEGER)")

    def position(self, stream: str) -> int:
        found = self.database.execute("SELECT position FROM positions WHERE stream = ?", [stream]).fetchone()
        return found[0] if found else 0

    def add(self, stream: str, rows: list[tuple], position: int) -> None:
        if not rows:
            return
        with self.database:  # one transaction
            # An id is unique for ever. It is known already where positions were set back to read again.
            self.database.executemany(f"INSERT OR IGNORE INTO events VALUES ({','.join('?' * 12)})", rows)
            self.database.execute("INSERT OR REPLACE INTO positions VALUES (?, ?)", [stream, position])
        print(stream, position, flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    asyncio.run(main(*sys.argv[1:]))
