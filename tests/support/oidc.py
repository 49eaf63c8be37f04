"""An OpenID Connect issuer for tests: keys of its own, tokens signed with them, and the two documents over HTTP(S)."""

from __future__ import annotations

import json
import ssl
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
CURVES = {"ES256": ("P-256", ec.SECP256R1()), "ES384": ("P-384", ec.SECP384R1()), "ES512": ("P-521", ec.SECP521R1())}


def base64url(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def number(value: int, size: int = 0) -> str:
    return base64url(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


class SigningKey(NamedTuple):
    kid: str
    alg: str
    key: Any

    @classmethod
    def make(cls, kid: str, alg: str = "RS256", *, bits: int = 2048) -> SigningKey:
        if alg in CURVES:
            return cls(kid, alg, ec.generate_private_key(CURVES[alg][1]))
        return cls(kid, alg, rsa.generate_private_key(65537, bits))

    def public(self, **more: Any) -> dict[str, Any]:
        """As a JWK."""
        numbers = self.key.public_key().public_numbers()
        named = {"kid": self.kid, "use": "sig", "alg": self.alg, **more}
        if self.alg in CURVES:
            size = (self.key.key_size + 7) // 8
            crv = CURVES[self.alg][0]
            return {"kty": "EC", "crv": crv, "x": number(numbers.x, size), "y": number(numbers.y, size), **named}
        return {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e), **named}

    def sign(self, signed: bytes) -> bytes:
        digest = HASHES[self.alg[2:]]
        if self.alg not in CURVES:
            return self.key.sign(signed, padding.PKCS1v15(), digest)
        size = (self.key.key_size + 7) // 8
        r, s = decode_dss_signature(self.key.sign(signed, ec.ECDSA(digest)))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    def token(self, claims: Any, **header: Any) -> str:
        """A JWT in compact form; ``header`` adds to alg and kid, or takes away with None."""
        head = {"alg": self.alg, "typ": "JWT", "kid": self.kid, **header}
        head = {name: value for name, value in head.items() if value is not None}
        content = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
        signed = f"{base64url(json.dumps(head).encode())}.{base64url(content)}"
        return f"{signed}.{base64url(self.sign(signed.encode()))}"


class Issuer:
    """``url`` names it. What it publishes are its fields: tests change them. ``asked`` are the paths that were asked for."""

    def __init__(self, server: ThreadingHTTPServer, scheme: str) -> None:
        self.url = f"{scheme}://localhost:{server.server_address[1]}/realms/test"
        self.keys = [SigningKey.make("first")]
        self.asked: list[str] = []
        self.configuration: dict[str, Any] = {"issuer": self.url, "jwks_uri": f"{self.url}/certs"}
        self.status = 200
        self.answers: dict[str, bytes] = {}  # instead of the right ones, by the end of the path
        self.gate = threading.Event()  # answers wait for it
        self.gate.set()

    def claims(self, **more: Any) -> dict[str, Any]:
        now_s = int(time.time())
        claims = {"iss": self.url, "aud": "app", "sub": "somebody", "iat": now_s, "exp": now_s + 300, **more}
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, **more: Any) -> str:
        """Signed by the newest key; None takes a claim away."""
        return self.keys[-1].token(self.claims(**more))

    def answer(self, path: str) -> bytes:
        for end, content in self.answers.items():
            if path.endswith(end):
                return content
        if path.endswith("/.well-known/openid-configuration"):
            return json.dumps(self.configuration).encode()
        return json.dumps({"keys": [key.public() for key in self.keys]}).encode()


@contextmanager
def running_issuer(context: ssl.SSLContext | None = None) -> Iterator[Issuer]:
    """An issuer on a free loopback port, over TLS with a context."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            issuer.gate.wait(30)
            content = issuer.answer(self.path)
            self.send_response(issuer.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Location", f"{issuer.url}/elsewhere")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    issuer = Issuer(server, "https" if context is not None else "http")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        issuer.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()
