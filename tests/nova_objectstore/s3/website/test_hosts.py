"""Which hosts are websites, and of which buckets."""

import pytest

from nova_objectstore.s3.website.hosts import WebsiteHosts


def test_no_host_is_a_website_by_default() -> None:
    hosts = WebsiteHosts(())
    assert not hosts
    assert hosts.bucket_of("a.test") is None


@pytest.mark.parametrize(
    ("host", "bucket"),
    [
        ("shop.web.test", "shop"),
        ("Shop.WEB.test:8080", "shop"),
        ("a.b.web.test.", "a.b"),
        ("web.test", ""),
        ("b.s3.web.test", None),  # under S3's own domain, which is longer
        ("s3.web.test", None),
        ("www.customer.test", "www.customer.test"),
        ("x.www.customer.test", None),
        ("a.pages.test", "a.pages.test"),
        ("pages.test", None),
        ("127.0.0.1:3333", None),
        ("evilweb.test", None),
        ("", None),
    ],
)
def test_domains_and_hosts(host: str, bucket: str | None) -> None:
    hosts = WebsiteHosts([".web.test"], ["WWW.customer.test", "*.pages.test"], s3_domains=["s3.web.test"])
    assert hosts
    assert hosts.bucket_of(host) == bucket


def test_every_host_is_every_one_but_s3_s_and_addresses() -> None:
    hosts = WebsiteHosts([], ["*"], s3_domains=["s3.test"])
    assert hosts.bucket_of("www.customer.test:443") == "www.customer.test"
    for own in ("s3.test", "b.s3.test", "localhost:3333", "127.0.0.1", "10.1.2.3:80", "[::1]:3333", "[::1]", ""):
        assert hosts.bucket_of(own) is None
