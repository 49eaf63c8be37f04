"""Which domains are whose."""

from pathlib import Path

import pytest

from nova_objectstore.assembly import Settings
from nova_objectstore.assembly_websites import check_domains
from nova_wsgi.errors import ConfigError


def test_a_domain_is_s3_s_or_the_websites() -> None:
    check_domains(Settings(state_path=Path(), domains=("s3.test", ""), website_domains=("web.test", "web.s3.test", "")))
    with pytest.raises(ConfigError, match=r"s3_website_domain: s3\.test"):
        check_domains(Settings(state_path=Path(), domains=("s3.test",), website_domains=(".S3.test.",)))
