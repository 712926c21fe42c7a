"""Enough of a phone's adbd for the real adb: the wire protocol over TCP and shell protocol 2.

Written after adb's own documents of them (protocol.txt, shell_service.h). Commands run on this
machine's `sh`. Run as a program: `adb_stand_in.py PORT_FILE [unauthorized]`.
"""

from __future__ import annotations

import queue
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

VERSION = 0x01000001  # since it, checksums are not looked at
MOST_BYTES = 64 * 1024
BANNER = b"device::ro.product.name=standin;ro.product.model=Stand;features=shell_v2,cmd\0"
STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)


def message(command: bytes, first: int, second: int, data: bytes = b"") -> bytes:
    number = int.from_bytes(command, "little")
    head = (number, first, second, len(data), sum(data) & 0xFFFFFFFF, number ^ 0xFFFFFFFF)
    return struct.pack("<6I", *head) + data


class Shell:
    """One stream: a command whose standard streams travel in packets."""

    def __init__(self, phone: Phone, ours: int, theirs: int, command: str) -> None:
        self._phone, self._ours, self._theirs = phone, ours, theirs
        self._process = subprocess.Popen(
            ["sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            cwd="/",
        )
        self.acknowledged = threading.Semaphore(1)  # one message may be under way
        self._incoming: queue.Queue[bytes | None] = queue.Queue()
        threading.Thread(target=self._feed, daemon=True).start()
        threading.Thread(target=self._serve, daemon=True).start()

    def take(self, data: bytes | None) -> None:
        """Bytes from the host; None is the end of the connection or of the stream."""
        self._incoming.put(data)

    def _feed(self) -> None:
        held = b""
        stdin = self._process.stdin
        while (data := self._incoming.get()) is not None:
            held += data
            while len(held) >= 5 and len(held) >= 5 + int.from_bytes(held[1:5], "little"):
                size = int.from_bytes(held[1:5], "little")
                kind, body, held = held[0], held[5 : 5 + size], held[5 + size :]
                try:
                    if kind == STDIN:
                        stdin.write(body)
                        stdin.flush()
                    elif kind == CLOSE_STDIN:
                        stdin.close()
                except (BrokenPipeError, ValueError):
                    pass  # the command reads no more
            self._phone.send(b"OKAY", self._ours, self._theirs)
        try:
            stdin.close()
        except BrokenPipeError:
            pass

    def _packet(self, kind: int, body: bytes) -> None:
        self.acknowledged.acquire()
        packet = bytes([kind]) + len(body).to_bytes(4, "little") + body
        self._phone.send(b"WRTE", self._ours, self._theirs, packet)

    def _forward(self, stream: int, kind: int) -> None:
        pipe = self._process.stdout if stream == 1 else self._process.stderr
        with pipe:
            while body := pipe.read1(MOST_BYTES // 2):
                self._packet(kind, body)

    def _serve(self) -> None:
        errors = threading.Thread(target=self._forward, args=(2, STDERR), daemon=True)
        errors.start()
        self._forward(1, STDOUT)
        errors.join()
        status = self._process.wait()
        self._packet(EXIT, bytes([status & 0xFF]))
        self.acknowledged.acquire()
        self._phone.send(b"CLSE", self._ours, self._theirs)


class Phone:
    """One connection of a host."""

    def __init__(self, connection: socket.socket, authorised: bool) -> None:
        self._connection = connection
        self._authorised = authorised
        self._lock = threading.Lock()
        self._shells: dict[int, Shell] = {}

    def send(self, command: bytes, first: int, second: int, data: bytes = b"") -> None:
        with self._lock:
            try:
                self._connection.sendall(message(command, first, second, data))
            except OSError:
                pass  # the host is gone; its streams end below

    def _received(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self._connection.recv(count - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def serve(self) -> None:
        try:
            while True:
                number, first, second, size, _, _ = struct.unpack("<6I", self._received(24))
                self._answer(number.to_bytes(4, "little"), first, second, self._received(size))
        except (EOFError, OSError):
            for shell in self._shells.values():
                shell.take(None)

    def _answer(self, command: bytes, first: int, second: int, data: bytes) -> None:
        if command in (b"CNXN", b"AUTH") and not self._authorised:
            self.send(b"AUTH", 1, 0, bytes(20))  # sign this; no signature is ever right
        elif command == b"CNXN":
            self.send(b"CNXN", VERSION, MOST_BYTES, BANNER)
        elif command == b"OPEN":
            self._open(first, data.rstrip(b"\0").decode())
        elif command == b"OKAY" and second in self._shells:
            self._shells[second].acknowledged.release()
        elif command == b"WRTE" and second in self._shells:
            self._shells[second].take(data)
        elif command == b"CLSE" and second in self._shells:
            self._shells.pop(second).take(None)

    def _open(self, theirs: int, service: str) -> None:
        name, _, command = service.partition(":")
        if name.split(",")[:2] != ["shell", "v2"] or "pty" in name:
            self.send(b"CLSE", 0, theirs)
            return
        ours = len(self._shells) + 1000 + theirs
        self.send(b"OKAY", ours, theirs)
        self._shells[ours] = Shell(self, ours, theirs, command)


def main(port_file: Path, *words: str) -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        port_file.write_text(str(server.getsockname()[1]))
        while True:
            connection, _ = server.accept()
            phone = Phone(connection, "unauthorized" not in words)
            threading.Thread(target=phone.serve, daemon=True).start()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
