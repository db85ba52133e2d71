# SPDX-License-Identifier: Apache-2.0
"""What tests of streams share: framing, TLS clients, PROXY headers, certificates."""

import socket
import ssl
import struct

import dns.message


def make_certificate(node, directory, stem, name="dns.test"):
    """A self-signed certificate and its key; returns both paths."""
    certificate, key = f"{directory}/{stem}.pem", f"{directory}/{stem}.key"
    node.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
              "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:::1,IP:127.0.0.1",
              "-keyout", key, "-out", certificate])
    return certificate, key


def framed(query):
    wire = query.to_wire()
    return struct.pack("!H", len(wire)) + wire


def exactly(stream, count):
    data = b""
    while len(data) < count:
        piece = stream.recv(count - len(data))
        if not piece:
            raise EOFError("the stream ended")
        data += piece
    return data


def read_frame(stream):
    return exactly(stream, struct.unpack("!H", exactly(stream, 2))[0])


def exchange(stream, query):
    stream.sendall(framed(query))
    return dns.message.from_wire(read_frame(stream))


def ended(stream, within):
    """Whether the other side closes the stream within so many seconds."""
    stream.settimeout(within)
    try:
        return stream.recv(4096) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def tls_context(certificate, protocols=()):
    context = ssl.create_default_context(cafile=certificate)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def tls_connect(certificate, address=("::1", 853), protocols=(), source=None):
    raw = socket.create_connection(address, timeout=5, source_address=source)
    return tls_context(certificate, protocols).wrap_socket(raw, server_hostname="dns.test")


def proxy_v2(client, datagram=False):
    """The header of HAProxy's PROXY protocol, version 2, that names an IPv6 client."""
    addresses = socket.inet_pton(socket.AF_INET6, client) + socket.inet_pton(socket.AF_INET6, "2001:db8::53")
    return (b"\r\n\r\n\0\r\nQUIT\n\x21" + (b"\x22" if datagram else b"\x21")
            + struct.pack("!H", len(addresses) + 4) + addresses + struct.pack("!HH", 40000, 53))
