"""The cloud's key pair: bundles are encrypted for its public half, and only the private half undoes them.

Strategy: an RSA key and a self-signed certificate (the form in which ec2-bundle-image and euca2ools want the public half) in
``<state-path>/images/``, made at first use, or whatever files the options name.

Laws:

- The key's file is the owner's alone (0600), and appears whole or not at all: it is written under another name, synced,
  and linked, so that of two processes that start at once one makes it and the other reads it.
- A key that is there is never overwritten: without it, every bundle that was made for it is lost.
"""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from cryptography.x509.oid import NameOID

from nova_wsgi import green
from nova_wsgi.errors import ConfigError
from nova_wsgi.private_files import check_private

os = green.original("os")  # called in a native thread: the patched os.open would give it a hub

KEY_NAME = "cloud-key.pem"
CERTIFICATE_NAME = "cloud-cert.pem"
KEY_BITS = 2048  # what EC2's own certificate has; the tools take no other kind of key than RSA
KEY_BITS_MIN = 1024  # the keys of clouds of 2010
CERTIFICATE_YEARS = 30  # tools do not look at it, but openssl does


@dataclass(frozen=True, slots=True)
class CloudKeys:
    """The cloud's key pair, and its certificate in PEM."""

    private_key: RSAPrivateKey
    certificate: bytes

    @property
    def public_key(self) -> RSAPublicKey:
        """What bundles are encrypted with."""
        return self.private_key.public_key()

    def __repr__(self) -> str:
        return "CloudKeys(...)"


def open_cloud_keys(
    directory: Path, *, key_file: Path | None = None, certificate_file: Path | None = None
) -> CloudKeys:
    """The cloud's key pair: the one of the files named, or that of ``directory``, made when there is none.

    Raises ConfigError for files that cannot be read or are no RSA key. Blocking: making a key takes 0.1 s or so.
    """
    if key_file is not None:
        private_key = _load_own_key(key_file)
        if certificate_file is None:
            return CloudKeys(private_key, make_certificate(private_key))
        return _checked(private_key, certificate_file)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        key_path, certificate_path = directory / KEY_NAME, directory / CERTIFICATE_NAME
        if not key_path.exists():
            _publish(key_path, _new_key_pem(), mode=0o600)
        private_key = _load_own_key(key_path)
        if not certificate_path.exists():
            _publish(certificate_path, make_certificate(private_key), mode=0o644)
    except OSError as error:
        raise ConfigError(f"the cloud's key pair in {directory}: {error}") from error
    return _checked(private_key, certificate_path)


def load_public_key(path: Path) -> RSAPublicKey:
    """The RSA public key of a PEM file that holds a certificate or a public key. Raises ConfigError. Blocking."""
    pem = _read(path)
    try:
        if b"BEGIN CERTIFICATE" in pem:
            key = x509.load_pem_x509_certificate(pem).public_key()
        else:
            key = load_pem_public_key(pem)  # type: ignore[assignment]  # any kind of key, as a certificate's
    except ValueError as error:
        raise ConfigError(f"{path}: not a certificate or public key in PEM: {error}") from None
    if not isinstance(key, RSAPublicKey):
        raise ConfigError(f"{path}: not an RSA key")
    return key


def load_private_key(path: Path) -> RSAPrivateKey:
    """The RSA private key of a PEM file without a password. Raises ConfigError. Blocking."""
    return _load_key(path)


def make_certificate(private_key: RSAPrivateKey) -> bytes:
    """A self-signed certificate of the key, in PEM: a wrapping that tools want, and no statement about anybody."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nova_objectstore bundle encryption")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # clocks differ
        .not_valid_after(now + timedelta(days=365 * CERTIFICATE_YEARS))
        .sign(private_key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM)


def _checked(private_key: RSAPrivateKey, certificate_file: Path) -> CloudKeys:
    if load_public_key(certificate_file).public_numbers() != private_key.public_key().public_numbers():
        raise ConfigError(f"{certificate_file}: not the certificate of the cloud's key")
    return CloudKeys(private_key, _read(certificate_file))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error


def _load_own_key(path: Path) -> RSAPrivateKey:
    """The store's own key, which nobody else may read."""
    try:
        check_private(path, path.stat(), what="the cloud's key")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    return _load_key(path)


def _load_key(path: Path) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(_read(path), password=None)
    except (ValueError, TypeError) as error:  # not PEM, another format; one with a password
        raise ConfigError(f"{path}: not a private key in PEM without a password: {error}") from None
    if not isinstance(key, RSAPrivateKey):
        raise ConfigError(f"{path}: not an RSA key")
    if key.key_size < KEY_BITS_MIN:
        raise ConfigError(f"{path}: an RSA key of {key.key_size} bits; {KEY_BITS_MIN} is the least")
    return key


def _new_key_pem() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def _publish(path: Path, content: bytes, *, mode: int) -> None:
    """Make the file appear whole; when another process was faster, its file stays."""
    staged = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    fd = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(fd)
        with contextlib.suppress(FileExistsError):
            os.link(staged, path)
    finally:
        staged.unlink()
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
