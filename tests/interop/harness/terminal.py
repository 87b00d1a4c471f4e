"""Programs in a pseudo-terminal."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

from harness.proc import until

WAIT = 30


class Terminal:
    """A program in a pty; screen() is what one that draws whole screens drew last, without colours."""

    def __init__(self, argv, rows, columns, **env):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execve(argv[0], [str(a) for a in argv], {**os.environ, "TERM": "xterm", **env})
        self.got, self.before = b"", termios.tcgetattr(self.fd)

    def read(self, seconds=0.2):
        end = time.monotonic() + seconds
        while select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
            try:
                part = os.read(self.fd, 65536)
            except OSError:
                return False
            if not part:
                return False
            self.got += part
        return True

    def screen(self):
        """The lines of the last whole screen; "" before the first."""
        self.read()
        found = re.findall(rb"\033\[H(.*?)\033\[J", self.got, re.DOTALL)
        return re.sub(rb"\033\[[0-9;?]*[A-Za-z]", b"", found[-1]).decode().replace("\r", "").rstrip("\n").split("\n") if found else [""]

    def wait(self, what, text):
        return until(lambda: any(text in line for line in self.screen()), WAIT, lambda: f"{what}: {self.screen()}", every=0.05)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.kill(self.pid, signal.SIGWINCH)

    def fits(self, rows, columns):
        lines = self.screen()
        return len(lines) <= rows and all(len(line) <= columns for line in lines)

    def press(self, keys):
        os.write(self.fd, keys)

    def end(self):
        until(lambda: not self.read(), WAIT, "the program ends")
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
