"""A receiver of webhooks that does what a file says: receiver.py PORT MODE_FILE SECRETS_FILE RECORD_FILE.

What it is sent it writes down with what it makes of the signatures, by the convention's own package and by hmac alone,
before it answers.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook

PORT, MODE, SECRETS, RECORD = sys.argv[1:]
ANSWERS = {"ok": 204, "fail": 500, "busy": 429, "gone": 410, "elsewhere": 307, "slow": 204}


def read(path: str) -> str:
    with open(path) as file:
        return file.read().strip()


def verified(headers, body: bytes) -> int:
    """How many of our secrets have signed it; both ways to find out must agree."""
    found = 0
    signatures = headers["webhook-signature"].split(" ")
    for secret in read(SECRETS).split():
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        by_hand = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        Webhook(secret).verify(body, dict(headers))  # raises if it is not so
        found += by_hand in signatures
    return found


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        mode = read(MODE)
        status = ANSWERS[mode]
        seen = {
            "at": time.monotonic(),
            "path": self.path,
            "status": status,
            "taken": mode == "ok",
            "id": self.headers["webhook-id"],
            "content_type": self.headers["content-type"],
            "signatures": len(self.headers["webhook-signature"].split(" ")),
            "verified": verified(self.headers, body),
            "body": json.loads(body),
        }
        with open(RECORD, "a") as record:
            record.write(json.dumps(seen) + "\n")
            record.flush()
            os.fsync(record.fileno())
        if mode == "slow":
            time.sleep(5)
        self.send_response(status)
        if mode == "busy":
            self.send_header("retry-after", "3")
        if mode == "elsewhere":
            self.send_header("location", "/elsewhere")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_) -> None:
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, *_) -> None:
        """Whoever sent it did not wait for the answer, or was killed."""


Server(("127.0.0.1", int(PORT)), Receiver).serve_forever()
