"""A libp2p speaker in plain Python that can say anything at any layer: TCP, multistream-select, Noise XX, yamux, streams.

Independent of the daemon's code and of any library, and slow on purpose nowhere but in its arithmetic. It is a test's hand on the
wire: every step can be done wrong. Written from the specifications: RFC 7748, RFC 8439, RFC 6979-like nonces, noiseprotocol.org,
libp2p/specs (connections, noise, peer-ids, yamux).
"""

import hashlib
import hmac
import os
import socket
import struct

from harness.proc import patient

# ---- X25519. RFC 7748 section 5 ----

P25519 = 2**255 - 19


def x25519(scalar, point):
    k = bytearray(scalar)
    k[0] &= 248
    k[31] = (k[31] & 127) | 64
    k, u = int.from_bytes(k, "little"), int.from_bytes(point, "little") & (2**255 - 1)
    x2, z2, x3, z3, swap = 1, 0, u, 1, 0
    for t in range(254, -1, -1):
        bit = (k >> t) & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % P25519, b * b % P25519, d * a % P25519, c * b % P25519
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % P25519, u * (da - cb) ** 2 % P25519
        x2, z2 = aa * bb % P25519, e * (aa + 121665 * e) % P25519
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P25519 - 2, P25519) % P25519).to_bytes(32, "little")


BASE25519 = (9).to_bytes(32, "little")

# ---- ChaCha20-Poly1305. RFC 8439 ----


def _chacha_block(key, counter, nonce):
    start = list(struct.unpack("<16I", b"expand 32-byte k" + key + struct.pack("<I", counter) + nonce))
    x = start[:]

    def quarter(a, b, c, d):
        for first, second, third, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[first] = (x[first] + x[second]) & 0xFFFFFFFF
            v = x[third] ^ x[first]
            x[third] = ((v << bits) | (v >> (32 - bits))) & 0xFFFFFFFF

    for _ in range(10):
        quarter(0, 4, 8, 12), quarter(1, 5, 9, 13), quarter(2, 6, 10, 14), quarter(3, 7, 11, 15)
        quarter(0, 5, 10, 15), quarter(1, 6, 11, 12), quarter(2, 7, 8, 13), quarter(3, 4, 9, 14)
    return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(x, start)))


def _chacha(key, nonce, data):
    out = bytearray()
    for i in range(0, len(data), 64):
        block = _chacha_block(key, 1 + i // 64, nonce)
        out += bytes(a ^ b for a, b in zip(data[i : i + 64], block))
    return bytes(out)


def _poly_tag(key, nonce, ad, cipher):
    one_time = _chacha_block(key, 0, nonce)[:32]
    r = int.from_bytes(one_time[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    s, acc = int.from_bytes(one_time[16:], "little"), 0
    padded = (
        ad
        + bytes(-len(ad) % 16)
        + cipher
        + bytes(-len(cipher) % 16)
        + struct.pack("<QQ", len(ad), len(cipher))
    )
    for i in range(0, len(padded), 16):
        acc = (acc + int.from_bytes(padded[i : i + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ((acc + s) & (2**128 - 1)).to_bytes(16, "little")


def seal(key, counter, ad, plain):
    nonce = bytes(4) + struct.pack("<Q", counter)
    cipher = _chacha(key, nonce, plain)
    return cipher + _poly_tag(key, nonce, ad, cipher)


def unseal(key, counter, ad, sealed):
    nonce = bytes(4) + struct.pack("<Q", counter)
    if not hmac.compare_digest(_poly_tag(key, nonce, ad, sealed[:-16]), sealed[-16:]):
        raise ValueError("tag does not verify")
    return _chacha(key, nonce, sealed[:-16])


# ---- secp256k1 signatures. SEC 1, SEC 2 ----

P, N = 2**256 - 2**32 - 977, 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)


def _add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and (a[1] + b[1]) % P == 0:
        return None
    slope = 3 * a[0] * a[0] * pow(2 * a[1], -1, P) if a == b else (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def _times(k, point):
    found = None
    while k:
        if k & 1:
            found = _add(found, point)
        point, k = _add(point, point), k >> 1
    return found


def _der_int(n):
    raw = n.to_bytes(33, "big").lstrip(b"\0") or b"\0"
    raw = b"\0" + raw if raw[0] & 128 else raw
    return b"\2" + bytes([len(raw)]) + raw


class Identity:
    """A secp256k1 key with what libp2p makes of it."""

    def __init__(self):
        self.secret = int.from_bytes(os.urandom(32), "big") % (N - 1) + 1
        x, y = _times(self.secret, G)
        self.compressed = bytes([2 + (y & 1)]) + x.to_bytes(32, "big")
        self.public = pb(1, 2) + pb(2, self.compressed)  # PublicKey{Type: Secp256k1, Data}
        self.peer_id = base58(b"\0" + bytes([len(self.public)]) + self.public)

    def sign(self, message):
        z = int.from_bytes(hashlib.sha256(message).digest(), "big")
        k = (
            int.from_bytes(hmac.new(self.secret.to_bytes(32, "big"), message, hashlib.sha256).digest(), "big")
            % (N - 1)
            + 1
        )
        r = _times(k, G)[0] % N
        s = pow(k, -1, N) * (z + r * self.secret) % N
        body = _der_int(r) + _der_int(min(s, N - s))
        return b"\x30" + bytes([len(body)]) + body


def base58(data):
    alphabet, n, out = (
        "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz",
        int.from_bytes(data, "big"),
        "",
    )
    while n:
        n, rest = divmod(n, 58)
        out = alphabet[rest] + out
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + out


# ---- encodings ----


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def pb(number, value):
    """One protobuf field: an integer or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def snappy_block(data, declared=None):
    """A snappy block of literals; `declared` lies about the length."""
    out = bytearray(varint(len(data) if declared is None else declared))
    for i in range(0, len(data), 60):
        piece = data[i : i + 60]
        out.append((len(piece) - 1) << 2)
        out += piece
    return bytes(out)


def _crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def snappy_frames(data, crc_xor=0):
    """Snappy's frame format with one uncompressed chunk for each 64 KiB."""
    out = b"\xff\x06\0\0sNaPpY"
    for i in range(0, len(data), 65536):
        piece = data[i : i + 65536]
        out += (
            b"\1"
            + (len(piece) + 4).to_bytes(3, "little")
            + struct.pack("<I", _crc32c(piece) ^ crc_xor)
            + piece
        )
    return out


# ---- the connection ----


class Closed(Exception):
    """The other side has closed or reset the connection."""


class Raw:
    """A TCP connection that does each upgrade step when told to."""

    def __init__(self, port, identity=None, timeout=10):
        self.sock = socket.create_connection(("127.0.0.1", port), patient(timeout))
        self.identity = identity or Identity()
        self.send_key = self.recv_key = None
        self.send_n = self.recv_n = 0
        self.buffer = self.plain = b""
        self.next_stream = 1
        self.inbox = {}  # yamux stream id -> bytes
        self.ended = set()  # streams that the other side closed or reset
        self.theirs = {}  # streams they opened -> bytes of the negotiation; None once it is over

    def close(self):
        self.sock.close()

    # bytes as they are on TCP
    def raw(self, data):
        try:
            self.sock.sendall(data)
        except OSError as error:
            raise Closed(str(error)) from None

    def _raw_read(self, n):
        while len(self.buffer) < n:
            try:
                more = self.sock.recv(65536)
            except (ConnectionError, TimeoutError) as error:
                raise Closed(str(error)) from None
            if not more:
                raise Closed("end of stream")
            self.buffer += more
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    # what is inside Noise, or TCP itself before it
    def write(self, data):
        if self.send_key is None:
            self.raw(data)
            return
        for i in range(0, len(data), 65519):
            sealed = seal(self.send_key, self.send_n, b"", data[i : i + 65519])
            self.send_n += 1
            self.raw(struct.pack(">H", len(sealed)) + sealed)

    def read(self, n):
        if self.recv_key is None:
            return self._raw_read(n)
        while len(self.plain) < n:
            size = struct.unpack(">H", self._raw_read(2))[0]
            self.plain += unseal(self.recv_key, self.recv_n, b"", self._raw_read(size))
            self.recv_n += 1
        data, self.plain = self.plain[:n], self.plain[n:]
        return data

    def read_line(self):
        size = shift = 0
        while True:
            byte = self.read(1)[0]
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        return self.read(size)[:-1].decode()

    def select(self, protocol):
        """multistream-select as the dialer."""
        for word in ("/multistream/1.0.0", protocol):
            self.write(varint(len(word) + 1) + word.encode() + b"\n")
        header, answer = self.read_line(), self.read_line()
        if header != "/multistream/1.0.0" or answer != protocol:
            raise Closed(f"multistream answered {header}, {answer}")

    # Noise_XX_25519_ChaChaPoly_SHA256
    def noise(self, break_message=None, signer=None):
        """The handshake as the dialer. break_message 1 or 3: that message is spoilt; signer: another identity signs."""
        self.select("/noise")
        name = b"Noise_XX_25519_ChaChaPoly_SHA256"
        h = ck = name
        h = hashlib.sha256(h + b"").digest()

        def mix_hash(h, data):
            return hashlib.sha256(h + data).digest()

        def mix_key(ck, data):
            prk = hmac.new(ck, data, hashlib.sha256).digest()
            one = hmac.new(prk, b"\1", hashlib.sha256).digest()
            return one, hmac.new(prk, one + b"\2", hashlib.sha256).digest()

        def send(message):
            self.raw(struct.pack(">H", len(message)) + message)

        e, s = os.urandom(32), os.urandom(32)
        e_pub, s_pub = x25519(e, BASE25519), x25519(s, BASE25519)
        h = mix_hash(mix_hash(h, e_pub), b"")
        send(e_pub[:-5] if break_message == 1 else e_pub)
        message = self._raw_read(struct.unpack(">H", self._raw_read(2))[0])
        re = message[:32]
        h = mix_hash(h, re)
        ck, key = mix_key(ck, x25519(e, re))
        rs = unseal(key, 0, h, message[32:80])
        h = mix_hash(h, message[32:80])
        ck, key = mix_key(ck, x25519(e, rs))
        unseal(key, 0, h, message[80:])
        h = mix_hash(h, message[80:])
        sealed_s = seal(key, 1, h, s_pub)
        h = mix_hash(h, sealed_s)
        ck, key = mix_key(ck, x25519(s, re))
        signature = (signer or self.identity).sign(b"noise-libp2p-static-key:" + s_pub)
        sealed = seal(key, 0, h, pb(1, self.identity.public) + pb(2, signature))
        if break_message == 3:
            sealed = sealed[:-1] + bytes([sealed[-1] ^ 1])
        send(sealed_s + sealed)
        self.send_key, self.recv_key = mix_key(ck, b"")

    # yamux, as the dialer: odd stream ids
    def frame(self, kind, flags, sid, length, data=b"", version=0):
        self.write(struct.pack(">BBHII", version, kind, flags, sid, length) + data)

    def yamux(self):
        self.select("/yamux/1.0.0")

    def upgrade(self):
        self.noise()
        self.yamux()
        return self

    def open(self, protocol):
        """A stream that has agreed on the protocol."""
        sid, self.next_stream = self.next_stream, self.next_stream + 2
        hello = b"".join(varint(len(w) + 1) + w.encode() + b"\n" for w in ("/multistream/1.0.0", protocol))
        self.inbox[sid] = b""
        self.frame(0, 1, sid, len(hello), hello)
        self.wait_stream(sid, len(hello))
        answer, self.inbox[sid] = self.inbox[sid][: len(hello)], self.inbox[sid][len(hello) :]
        if answer != hello:
            raise Closed(f"{protocol} was refused: {answer}")
        return sid

    def send(self, sid, data, fin=False):
        for i in range(0, max(1, len(data)), 60000):
            piece = data[i : i + 60000]
            self.frame(0, 4 if fin and i + 60000 >= len(data) else 0, sid, len(piece), piece)

    def pump(self):
        """Take one frame of theirs; answers their pings, takes their gossip streams and no other."""
        _, kind, flags, sid, length = struct.unpack(">BBHII", self.read(12))
        if flags & 1 and kind in (0, 1):
            self.theirs[sid] = b""
            self.frame(1, 2, sid, 0)
        if kind == 0:
            data = self.read(length)
            if sid in self.inbox:
                self.inbox[sid] += data
            if self.theirs.get(sid) is not None:
                self.theirs[sid] += data
                self.negotiate_theirs(sid)
            if length:
                self.frame(1, 0, sid, length)
        if kind == 2 and flags & 1:
            self.frame(2, 2, 0, length)
        if flags & 12:
            self.ended.add(sid)
        return sid

    def negotiate_theirs(self, sid):
        """As the listener of multistream-select: meshsub is agreed to, all else is not there."""
        while self.theirs[sid]:
            size = self.theirs[sid][0]  # proposals of 128 bytes and more are not made to us
            if len(self.theirs[sid]) < 1 + size:
                return
            line, self.theirs[sid] = self.theirs[sid][1 : 1 + size], self.theirs[sid][1 + size :]
            answer = line if line.startswith((b"/multistream/", b"/meshsub/")) else b"na\n"
            self.frame(0, 0, sid, len(answer) + 1, varint(len(answer)) + answer)
            if answer.startswith(b"/meshsub/"):
                self.theirs[sid] = None
                return

    def wait_stream(self, sid, n):
        """Until n bytes have come on the stream or it has ended; raises Closed when the connection ends."""
        while len(self.inbox[sid]) < n and sid not in self.ended:
            self.pump()
        return self.inbox[sid]

    def wait_ended(self, sid):
        """All that comes until the stream ends."""
        while sid not in self.ended:
            self.pump()
        return self.inbox[sid]

    def wait_closed(self, seconds=15):
        """Read until the other side ends the connection."""
        self.sock.settimeout(patient(seconds))
        try:
            while True:
                if self.recv_key is None:
                    self._raw_read(1)
                else:
                    self.pump()
        except Closed as closed:
            return "timed out" not in str(closed)
