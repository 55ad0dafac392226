#!/usr/bin/env python3
"""endpoint.py PORT FOLDER: a receiver of webhooks, for tests.

FOLDER/secret has the secrets it knows, FOLDER/mode what it does: ok, fail (500), busy (429, then ok), hang, redirect,
refuse WORD (422 when the body has it). Each request is one JSON line in FOLDER/log before it is answered. The signature is
checked with nothing but the Standard Webhooks page: HMAC-SHA256 over "id.timestamp.body".
"""
import base64
import hashlib
import hmac
import http.server
import json
import os
import ssl
import sys
import threading
import time

FOLDER = sys.argv[2]
LOCK = threading.Lock()
UNDER_WAY = set()
BUSY_UNTIL = [0.0]


def read(name, default=""):
    try:
        with open(os.path.join(FOLDER, name), encoding="utf-8") as f:
            return f.read().strip()
    except FileNotFoundError:
        return default


def signed(headers, body):
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    if abs(time.time() - int(headers["webhook-timestamp"])) > 300:
        return False
    good = []
    for secret in read("secret").split():
        key = base64.b64decode(secret.removeprefix("whsec_"))
        good.append("v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode())
    return any(hmac.compare_digest(s, g) for s in headers["webhook-signature"].split() for g in good)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def status(self, body):
        mode, _, word = read("mode", "ok").partition(" ")
        if mode == "hang":
            time.sleep(30)
        if mode == "busy":
            with LOCK:
                first, BUSY_UNTIL[0] = BUSY_UNTIL[0] == 0, BUSY_UNTIL[0] or time.time() + 0.9
            return 429 if first or time.time() < BUSY_UNTIL[0] else 200
        return {"fail": 500, "redirect": 302}.get(mode) or (422 if mode == "refuse" and word.encode() in body else 200)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        event = json.loads(body)
        conversation = event["data"]["conversation"]
        with LOCK:
            overlap = conversation in UNDER_WAY
            UNDER_WAY.add(conversation)
        status = self.status(body)
        line = {"id": self.headers["webhook-id"], "same_id": self.headers["webhook-id"] == event["id"],
                "conv": conversation, "seq": event["data"]["seq"], "text": event["data"].get("text", ""),
                "type": self.headers["Content-Type"], "path": self.path, "status": status,
                "signed": signed(self.headers, body), "overlap": overlap}
        with LOCK:
            UNDER_WAY.discard(conversation)
            with open(os.path.join(FOLDER, "log"), "a", encoding="utf-8") as f:
                f.write(json.dumps(line) + "\n")
        try:
            self.send_response(status)
            if status == 429:
                self.send_header("Retry-After", "1")
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()
        except OSError:
            pass  # who asked has gone


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, *_):
        pass


server = Server(("127.0.0.1", int(sys.argv[1])), Handler)
if read("cert"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(FOLDER, "cert"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
