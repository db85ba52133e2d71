# SPDX-License-Identifier: Apache-2.0
"""The smallest reader of Frame Streams (https://farsightsec.github.io/fstrm/): a collector for dnstap, bidirectional handshake,
and just enough protobuf to look into the frames."""

import socket
import struct
import threading

READY, ACCEPT, START, STOP, FINISH = 4, 1, 2, 3, 5
CONTENT_TYPE = b"protobuf:dnstap.Dnstap"


def fields(message):
    """A protobuf message as {field number: last value}; numbers or bytes."""
    out, at = {}, 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value
    while at < len(message):
        key = varint()
        number, wire = key >> 3, key & 7
        if wire == 0:
            out[number] = varint()
        elif wire == 2:
            size = varint()
            out[number] = message[at:at + size]
            at += size
        elif wire == 5:
            out[number] = struct.unpack_from("<I", message, at)[0]
            at += 4
        else:
            raise ValueError(f"wire type {wire}")
    return out


class Collector:
    """Listens on a Unix socket's path or a (host, port) of TCP; `frames` are the data frames that came."""

    def __init__(self, where):
        self.frames = []
        self.listener = socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET, socket.SOCK_STREAM)
        self.listener.bind(where)
        self.listener.listen(1)
        threading.Thread(target=self._run, daemon=True).start()

    def close(self):
        self.listener.close()

    def messages(self, kind):
        """The dnstap messages of one type (5: client query, 6: client response), as fields."""
        found = [fields(fields(frame)[14]) for frame in list(self.frames)]
        return [message for message in found if message[1] == kind]

    def _run(self):
        while True:
            try:
                stream, _ = self.listener.accept()
            except OSError:
                return
            with stream, stream.makefile("rwb") as file:
                self._serve(file)

    def _serve(self, file):
        while head := file.read(4):
            size = struct.unpack("!I", head)[0]
            if size:
                self.frames.append(file.read(size))
                continue
            control = file.read(struct.unpack("!I", file.read(4))[0])
            kind = struct.unpack("!I", control[:4])[0]
            if kind == READY:
                self._control(file, ACCEPT, struct.pack("!II", 1, len(CONTENT_TYPE)) + CONTENT_TYPE)
            elif kind == STOP:
                self._control(file, FINISH)
                return

    @staticmethod
    def _control(file, kind, rest=b""):
        body = struct.pack("!I", kind) + rest
        file.write(struct.pack("!II", 0, len(body)) + body)
        file.flush()


class DeafCollector(Collector):
    """One that takes the connection and then reads nothing."""

    def _serve(self, file):
        while head := file.read(4):
            control = file.read(struct.unpack("!I", file.read(4))[0]) if head == b"\0\0\0\0" else b""
            if control[:4] == struct.pack("!I", READY):
                self._control(file, ACCEPT, struct.pack("!II", 1, len(CONTENT_TYPE)) + CONTENT_TYPE)
                threading.Event().wait()
