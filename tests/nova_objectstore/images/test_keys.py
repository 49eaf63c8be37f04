"""The cloud's key pair: made once, kept, the owner's alone; or read from where the options say."""

import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from support.bundles import rsa_key

from nova_objectstore.images.cipher import decrypt_secret, encrypt_secret, new_secret
from nova_objectstore.images.keys import (
    CERTIFICATE_NAME,
    KEY_NAME,
    load_private_key,
    load_public_key,
    make_certificate,
    open_cloud_keys,
)
from nova_wsgi import green
from nova_wsgi.errors import ConfigError


def private_pem(key, encryption=None) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def write_private(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)


def test_made_at_first_use_and_kept(tmp_path: Path):
    directory = tmp_path / "state" / "images"
    made = open_cloud_keys(directory)
    again = open_cloud_keys(directory)
    assert again.private_key.private_numbers() == made.private_key.private_numbers()
    assert again.certificate == made.certificate
    assert sorted(path.name for path in directory.iterdir()) == [CERTIFICATE_NAME, KEY_NAME]
    assert stat.S_IMODE((directory / KEY_NAME).stat().st_mode) == 0o600
    assert made.private_key.key_size == 2048
    certificate = x509.load_pem_x509_certificate(made.certificate)
    certificate.verify_directly_issued_by(certificate)
    assert load_public_key(directory / CERTIFICATE_NAME).public_numbers() == made.public_key.public_numbers()


def test_two_that_start_at_once_have_the_same(tmp_path: Path):
    openings = [green.submit_native(open_cloud_keys, tmp_path) for _ in range(4)]
    numbers = {opening.wait().private_key.private_numbers().d for opening in openings}
    assert len(numbers) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [CERTIFICATE_NAME, KEY_NAME]


def test_a_lost_certificate_is_made_again(tmp_path: Path):
    made = open_cloud_keys(tmp_path)
    (tmp_path / CERTIFICATE_NAME).unlink()
    assert open_cloud_keys(tmp_path).public_key.public_numbers() == made.public_key.public_numbers()
    assert (tmp_path / CERTIFICATE_NAME).exists()


def test_files_of_the_options(tmp_path: Path):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    write_private(key, private_pem(rsa_key()))
    certificate.write_bytes(make_certificate(rsa_key()))
    directory = tmp_path / "images"
    assert (
        open_cloud_keys(directory, key_file=key, certificate_file=certificate).certificate == certificate.read_bytes()
    )
    alone = open_cloud_keys(directory, key_file=key)
    assert x509.load_pem_x509_certificate(alone.certificate).public_key() == rsa_key().public_key()
    assert not directory.exists()
    secret = new_secret()
    assert decrypt_secret(encrypt_secret(secret, load_public_key(certificate)), load_private_key(key)) == secret
    public = tmp_path / "public.pem"
    public.write_bytes(rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert load_public_key(public) == rsa_key().public_key()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a private key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "not a private key"),
        (private_pem(ec.generate_private_key(ec.SECP256R1())), "not an RSA key"),
        (private_pem(rsa_key(), BestAvailableEncryption(b"secret")), "without a password"),
    ],
)
def test_files_that_hold_no_key(tmp_path: Path, content, reason):
    path = tmp_path / "key.pem"
    write_private(path, content)
    with pytest.raises(ConfigError, match=reason):
        open_cloud_keys(tmp_path, key_file=path)


def test_files_that_do_not_fit(tmp_path: Path):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    write_private(key, private_pem(rsa_key()))
    certificate.write_bytes(make_certificate(rsa_key("another")))
    with pytest.raises(ConfigError, match="not the certificate"):
        open_cloud_keys(tmp_path, key_file=key, certificate_file=certificate)
    with pytest.raises(ConfigError, match="missing"):
        open_cloud_keys(tmp_path, key_file=tmp_path / "missing")
    certificate.write_bytes(b"nothing")
    with pytest.raises(ConfigError, match="not a certificate"):
        load_public_key(certificate)


def test_a_key_that_others_may_read_is_refused(tmp_path: Path):
    open_cloud_keys(tmp_path)
    (tmp_path / KEY_NAME).chmod(0o640)
    with pytest.raises(
        ConfigError, match=r"the cloud's key .*: others than its owner may read or write it; run: chmod 600 "
    ):
        open_cloud_keys(tmp_path)


def test_a_directory_that_cannot_be(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="key pair"):
        open_cloud_keys(tmp_path / "file" / "images")


def test_a_key_never_shows(tmp_path: Path):
    assert repr(open_cloud_keys(tmp_path)) == "CloudKeys(...)"
    assert repr(new_secret()) == "BundleSecret(...)"
    assert isinstance(rsa_key(), rsa.RSAPrivateKey)
