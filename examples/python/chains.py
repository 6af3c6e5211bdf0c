#!/usr/bin/env python3
"""Whether the events that consumer.py has kept are the ones that were written: each chain of hashes, computed anew.

    python examples/python/chains.py warehouse.sqlite

What goes into a hash, docs/events.md says. An event that was changed, lost or put in is found at the one after it in its
chain; of the newest in each chain only the next one can tell.
"""

import datetime
import hashlib
import sqlite3
import sys


def nanoseconds(moment: str) -> int:
    """Since 1970, of a moment of RFC 3339 in UTC; Python's own moments have microseconds."""
    seconds, _, fraction = moment.rstrip("Z").partition(".")
    whole = datetime.datetime.fromisoformat(seconds + "+00:00")
    return int(whole.timestamp()) * 10**9 + int(fraction.ljust(9, "0"))


def hash_of(event) -> str:
    parts = [
        event["id"].encode(),
        event["source"].encode(),
        event["type"].encode(),
        nanoseconds(event["time"]).to_bytes(8, "big", signed=True),
        event["subject"].encode(),
        (event["traceparent"] or "").encode(),
        bytes.fromhex(event["previous_hash"]),
        event["payload"],
    ]
    if event["command"]:
        events, caller, request, key = event["command"].split(" ", 3)
        parts += [key.encode(), bytes.fromhex(caller), bytes.fromhex(request), int(events).to_bytes(4, "big")]
    return hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).hexdigest()


def chain_of(event) -> str:
    """`fleet` and `rollout` are one chain each; in a region each aggregate is one."""
    return event["subject"] if event["stream"].startswith("nightshift_region_") else event["stream"]


def main(path: str) -> None:
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    database.row_factory = sqlite3.Row
    newest: dict[str, str] = {}
    count = 0
    for count, event in enumerate(database.execute("SELECT * FROM events ORDER BY stream, position"), start=1):
        chain = chain_of(event)
        if event["previous_hash"] != newest.get(chain, "0" * 64):
            sys.exit(f"{event['stream']} {event['position']}: the one before it in its chain is not what was written")
        newest[chain] = hash_of(event)
    print(f"{count} events in {len(newest)} chains are as they were written")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
