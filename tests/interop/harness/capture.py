"""A relay that writes down what passes, and a capture file of it: nothing is sniffed, so no privilege is needed."""

import socket
import struct
import threading
import time

SEGMENT = 1400  # bytes of a packet in the capture: records are cut as a real wire cuts them


class Relay:
    """TCP from a port of its own to `to` on 127.0.0.1; each connection's bytes are kept in the order in which they came."""

    def __init__(self, to):
        self.to, self.passed, self.lock, self.n = to, [], threading.Lock(), 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.to))
            self.n += 1
            for source, sink, way in ((near, far, 0), (far, near, 1)):
                threading.Thread(target=self._pump, args=(source, sink, self.n, way), daemon=True).start()

    def _pump(self, source, sink, conn, way):
        try:
            while data := source.recv(65536):
                with self.lock:
                    self.passed.append((time.time(), conn, way, data))
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            sink.close()

    def write_pcap(self, path):
        """All that has passed, as packets of IPv4 and TCP."""
        with self.lock:
            passed = list(self.passed)
        with open(path, "wb") as file:
            _file_header(file)
            sequence = {}
            for when, conn, way, data in passed:
                if conn not in sequence:
                    sequence[conn] = [1001, 2001]
                    for w, flags, ack in ((0, 0x02, 0), (1, 0x12, 1001), (0, 0x10, 2001)):
                        _packet(file, when, conn, w, (1000, 2000)[w] + (1 if flags == 0x10 else 0), ack, flags, b"")
                for at in range(0, len(data), SEGMENT):
                    piece = data[at : at + SEGMENT]
                    _packet(file, when, conn, way, sequence[conn][way], sequence[conn][1 - way], 0x18, piece)
                    sequence[conn][way] += len(piece)


class DatagramRelay:
    """The same for datagrams: to a port of its own, from there to `to` on 127.0.0.1, and back to who sent first."""

    def __init__(self):
        self.to, self.passed, self.lock = None, [], threading.Lock()
        self.front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.front.bind(("127.0.0.1", 0))
        self.port = self.front.getsockname()[1]

    def start(self, to):
        self.to = to
        threading.Thread(target=self._forth, daemon=True).start()

    def _forth(self):
        behind = {}
        while True:
            data, origin = self.front.recvfrom(65536)
            if origin not in behind:
                back = behind[origin] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                back.connect(("127.0.0.1", self.to))
                threading.Thread(target=self._back, args=(back, origin), daemon=True).start()
            self._keep(0, data)
            behind[origin].send(data)

    def _back(self, back, origin):
        while True:
            data = back.recv(65536)
            self._keep(1, data)
            self.front.sendto(data, origin)

    def _keep(self, way, data):
        with self.lock:
            self.passed.append((time.time(), way, data))

    def write_pcap(self, path):
        """How many packets it has."""
        with self.lock:
            passed = list(self.passed)
        with open(path, "wb") as file:
            _file_header(file)
            for when, way, data in passed:
                udp = struct.pack(">HHHH", (40000, 9000)[way], (9000, 40000)[way], 8 + len(data), 0)
                _ip_packet(file, when, way, 17, udp + data)
        return len(passed)


def _file_header(file):
    file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 101))  # 101: raw IP


def _packet(file, when, conn, way, seq, ack, flags, data):
    ports = (40000 + conn, 9000)
    tcp = struct.pack(">HHIIBBHHH", ports[way], ports[1 - way], seq, ack, 5 << 4, flags, 65535, 0, 0)
    _ip_packet(file, when, way, 6, tcp + data)


def _ip_packet(file, when, way, protocol, payload):
    addresses = (bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2)))
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0) + addresses[way] + addresses[1 - way]
    packet = ip + payload
    file.write(struct.pack("<IIII", int(when), int(when % 1 * 1e6), len(packet), len(packet)) + packet)
