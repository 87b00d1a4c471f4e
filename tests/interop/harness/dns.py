"""A server of names for tests: A, AAAA and TXT on 127.0.0.1, by UDP and TCP, with an answer for every fault we must bear.

    server = DnsServer({"node.test": {"A": ["127.0.0.1"]}, "_dnsaddr.node.test": {"TXT": ["dnsaddr=/ip4/..."]}})
    flags = ["--dns-server", server.address]

A name in `silent` gets no answer, one in `broken` gets bytes that are no answer.
"""

import socket
import struct
import threading

TYPES = {1: "A", 28: "AAAA", 16: "TXT"}
UDP_MAX = 512  # without EDNS; more is cut short, and the client comes again by TCP


def read_name(packet, at):
    labels = []
    while packet[at]:
        labels.append(packet[at + 1 : at + 1 + packet[at]].decode())
        at += 1 + packet[at]
    return ".".join(labels).lower(), at + 1


def pack_value(kind, value):
    if kind == "A":
        return socket.inet_pton(socket.AF_INET, value)
    if kind == "AAAA":
        return socket.inet_pton(socket.AF_INET6, value)
    raw = value.encode()
    pieces = [raw[i : i + 255] for i in range(0, len(raw), 255)] or [b""]
    return b"".join(bytes([len(p)]) + p for p in pieces)


class DnsServer:
    def __init__(self, names, silent=(), broken=()):
        self.names, self.silent, self.broken = names, set(silent), set(broken)
        self.asked = []  # (name, type, "udp" or "tcp")
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        while True:
            self.udp.bind(("127.0.0.1", 0))
            self.port = self.udp.getsockname()[1]
            try:
                self.tcp.bind(("127.0.0.1", self.port))
                break
            except OSError:  # somebody has that port of TCP: another
                self.udp.close()
                self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.tcp.listen(16)
        self.address = f"127.0.0.1:{self.port}"
        for serve in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=serve, daemon=True).start()

    def count(self, name):
        return sum(1 for asked in self.asked if asked[0] == name.lower())

    def _answer(self, query, how):
        """The answer's bytes, or None for silence."""
        name, at = read_name(query, 12)
        kind = TYPES.get(struct.unpack(">H", query[at : at + 2])[0], "?")
        self.asked.append((name, kind, how))
        if name in self.silent:
            return None
        if name in self.broken:
            return query[:2] + b"\xff" * 9
        names = {key.lower(): records for key, records in self.names.items()}
        values = names.get(name, {}).get(kind, [])
        question = query[12 : at + 4]
        body = b""
        for value in values:
            data = pack_value(kind, value)
            body += b"\xc0\x0c" + query[at : at + 4] + struct.pack(">IH", 60, len(data)) + data
        flags, count = 0x8180 | (0 if name in names else 3), len(values)
        if how == "udp" and 12 + len(question) + len(body) > UDP_MAX:
            flags, count, body = flags | 0x0200, 0, b""
        return query[:2] + struct.pack(">HHHHH", flags, 1, count, 0, 0) + question + body

    def _serve_udp(self):
        while True:
            query, whom = self.udp.recvfrom(4096)
            answer = self._answer(query, "udp")
            if answer is not None:
                self.udp.sendto(answer, whom)

    def _serve_tcp(self):
        while True:
            conn, _ = self.tcp.accept()
            threading.Thread(target=self._serve_conn, args=(conn,), daemon=True).start()

    def _serve_conn(self, conn):
        with conn, conn.makefile("rb") as stream:
            while head := stream.read(2):
                answer = self._answer(stream.read(struct.unpack(">H", head)[0]), "tcp")
                if answer is None:
                    return
                conn.sendall(struct.pack(">H", len(answer)) + answer)
