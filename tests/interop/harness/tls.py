"""A door with TLS before a real HTTP server, as operators put one there: a certificate made here, and it may ask for JSON only."""

import http.server
import ssl
import subprocess
import threading
import urllib.error
import urllib.request

from harness.proc import patient


def certificate(work, host):
    """(certificate, key) files of a server that calls itself `host`; the certificate is its own authority."""
    cert, key = work / f"{host}.pem", work / f"{host}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", f"/CN={host}", "-addext", f"subjectAltName={'IP' if host[0].isdigit() else 'DNS'}:{host}",
                    "-keyout", str(key), "-out", str(cert)],
                   check=True, capture_output=True, timeout=patient(60))
    return cert, key


class Door:
    """https://127.0.0.1:PORT in front of `behind`; `json_only` hides that the server speaks SSZ, `to` answers all by a redirect."""

    def __init__(self, behind, cert, key, json_only=False, to=None):
        asked = self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                if to is not None:
                    self._answer(302, "text/plain", b"", Location=to + self.path)
                    return
                accept = "application/json" if json_only else self.headers["Accept"]
                request = urllib.request.Request(behind + self.path, headers={"Accept": accept})
                try:
                    with urllib.request.urlopen(request, timeout=patient(30)) as answer:
                        self._answer(answer.status, answer.headers["Content-Type"], answer.read())
                except urllib.error.HTTPError as error:
                    self._answer(error.code, "application/json", error.read())

            def _answer(self, status, kind, body, **headers):
                self.send_response(status)
                for name, value in {"Content-Type": kind, "Content-Length": len(body), **headers}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_: None  # who does not trust the certificate goes away: that is the test
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
