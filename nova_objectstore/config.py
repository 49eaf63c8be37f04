"""Every option of the object store. Read by ``cmd/`` and the managers, passed on to constructors; nothing below reads them."""

from __future__ import annotations

import sys
from pathlib import Path

from oslo_config import cfg

from nova_objectstore import limits
from nova_wsgi import admin_token, control, launcher, logs, service_options
from nova_wsgi.config import Section
from nova_wsgi.registry import options as registry_options

STORAGE = Section(
    "Storage",
    (
        cfg.StrOpt(
            "state_path",
            default="./nova-state",
            help="Directory of everything the store keeps: the metadata database, the data files, the root credentials.",
        ),
        cfg.StrOpt(
            "sync",
            default="always",
            choices=[
                (
                    "always",
                    "data and metadata are on the disk before a write is answered; nothing acknowledged is lost",
                ),
                ("never", "the operating system writes when it likes; a power failure loses the last seconds' writes"),
            ],
            help="When written bytes are forced to the disk.",
        ),
        cfg.IntOpt(
            "inline_size_max",
            default=limits.INLINE_SIZE_MAX,
            min=0,
            max=1024 * 1024,
            help="Objects up to this many bytes lie in the metadata database, larger ones in files of their own.",
        ),
        cfg.IntOpt(
            "collect_delay_s",
            default=600,
            min=0,
            help="Seconds for which data that was overwritten or deleted stays on the disk, for the readers that have begun.",
        ),
    ),
)

S3 = Section(
    "S3",
    (
        cfg.StrOpt(
            "s3_region",
            default="us-east-1",
            regex=r"^[A-Za-z0-9._-]+$",  # it stands in signatures' scopes, between slashes
            help="Region that clients must sign for and that buckets lie in.",
        ),
        cfg.ListOpt(
            "s3_domain",
            default=[],
            help="Domains under which a bucket is named by the host (bucket.DOMAIN); without one, only paths name buckets.",
        ),
    ),
)

# Where services report and are asked: nova-manage reads them too.
MONITORING = (
    *registry_options.sections(connection="sqlite:///$state_path/services.sqlite"),
    control.section(),
)


def installed_paste_config() -> str:
    """The api-paste.ini that came with the package: beside the checkout, or under the prefix of the installation."""
    beside = Path(__file__).parents[1] / "etc" / "api-paste.ini"
    return str(beside if beside.exists() else Path(sys.prefix) / "etc" / "nova" / "api-paste.ini")


def objectstore_sections() -> tuple[Section, ...]:
    """The options of ``nova-objectstore``, in the order in which ``--help`` shows them."""
    return (
        STORAGE,
        S3,
        service_options.api_section("s3", listen="127.0.0.1", port=3333),
        service_options.http_section(),
        service_options.section(enabled_apis=["s3"], api_paste_config=installed_paste_config()),
        *MONITORING,
        launcher.section(),
        logs.section(),
    )


def api_sections() -> tuple[Section, ...]:
    """The options of ``nova-api``."""
    return (
        STORAGE,
        S3,
        service_options.api_section("osapi", listen="127.0.0.1", port=8774, workers=1),
        service_options.api_section("ec2", listen="127.0.0.1", port=8773, workers=1),
        service_options.http_section(),
        service_options.section(enabled_apis=["osapi"], api_paste_config=installed_paste_config()),
        admin_token.section(default_file="$state_path/api-token"),
        *MONITORING,
        launcher.section(),
        logs.section(),
    )


def manage_sections() -> tuple[Section, ...]:
    """The options of ``nova-manage``."""
    return (STORAGE, S3, *MONITORING, logs.section())
