"""Every option of the object store. Read by ``cmd/`` and the managers, passed on to constructors; nothing below reads them."""

from __future__ import annotations

import sys
from pathlib import Path

from oslo_config import cfg

from nova_objectstore import limits
from nova_objectstore.images.limits import IMAGE_SIZE_MAX
from nova_wsgi import admin_token, control, launcher, logs, service_options
from nova_wsgi.config import Section
from nova_wsgi.registry import options as registry_options
from nova_wsgi.rpc import options as rpc_options

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
        cfg.FloatOpt(
            "lock_timeout_s",
            default=limits.LOCK_TIMEOUT_S,
            min=0.1,
            help="Seconds that a write waits while another program holds the metadata database; then it is answered with 503.",
        ),
        cfg.StrOpt(
            "verify_reads",
            default="scrub",
            choices=[
                (
                    "scrub",
                    "bodies that sendfile sends are left to the scrubber; all others are checked when they are read",
                ),
                (
                    "always",
                    "every read of whole data is checked while it is sent, and cut off before its last bytes when they are "
                    "not what was written; without sendfile, a large GET costs more of the processor",
                ),
            ],
            help="Which reads are compared with the digest of what was written.",
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
        cfg.StrOpt(
            "master_key_file",
            default="",
            help="File of the master key that seals the keyring, its owner's alone to read; without a name it is "
            "master-key in the state directory, made at the first start. NOVA_MASTER_KEY in the environment comes first.",
        ),
    ),
)

STORAGE_CLASSES = Section(
    "Storage classes",
    (
        cfg.StrOpt(
            "data",
            default="",
            help="URL of the data engine that this class has for itself: file:///srv/cold/nova, a directory that is empty at "
            "first; without one its objects lie where those of STANDARD do. It must not be changed afterwards.",
        ),
        cfg.BoolOpt(
            "archive",
            default=False,
            help="Whether its objects must be restored (RestoreObject) before they can be read.",
        ),
        cfg.IntOpt(
            "inline_size_max",
            min=0,
            max=1024 * 1024,
            help="Objects of this class up to this many bytes lie in the metadata database; as those of STANDARD without it.",
        ),
    ),
    group="storage_class:NAME",
    is_family=True,
    note="A section for each storage class beside STANDARD. NAME is what x-amz-storage-class says, one of AWS's (STANDARD_IA, "
    "GLACIER) or another of capital letters, digits and underscores. See docs/storage-classes.md.",
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
        cfg.ListOpt(
            "s3_website_domain",
            default=[],
            help="Domains under which a bucket is a website (bucket.DOMAIN): pages for browsers, to be read by anybody.",
        ),
        cfg.ListOpt(
            "s3_website_host",
            default=[],
            help="Hosts of their own that are the website of the bucket called exactly like them: names, *.SUFFIX, or * for "
            "every host that is neither S3's nor an address. With * declare S3's own names as s3_domain.",
        ),
        cfg.StrOpt(
            "s3_object_ownership",
            default="BucketOwnerEnforced",
            choices=[
                (
                    "BucketOwnerEnforced",
                    "the bucket's owner owns every object and ACLs are off, as AWS has it since 2023",
                ),
                ("BucketOwnerPreferred", "whoever writes may hand the object over to the bucket's owner; ACLs are on"),
                ("ObjectWriter", "whoever writes an object owns it; ACLs are on, as AWS had it until 2023"),
            ],
            help="Object ownership of buckets that are created without saying which; later changes do not touch them.",
        ),
        cfg.StrOpt(
            "default_encryption",
            default="none",
            choices=[
                ("none", "objects that ask for no encryption, in buckets without a default, are stored as they are"),
                ("AES256", "they are encrypted with the store's key (SSE-S3), as at AWS"),
            ],
            help="What becomes of objects where neither the request nor the bucket says how to encrypt.",
        ),
        cfg.BoolOpt(
            "sse_c_needs_tls",
            default=False,
            help="Refuse customers' keys (SSE-C) over plain HTTP, as AWS does.",
        ),
        cfg.BoolOpt(
            "oidc_plain_http",
            default=False,
            help="Ask OpenID Connect issuers for their keys over plain HTTP too where their URL says so; without it that is "
            "for issuers on loopback addresses alone. Whoever is on the way can then forge web identities.",
        ),
        cfg.StrOpt(
            "oidc_ca_file",
            default="",
            help="PEM file of the CAs that sign the certificates of OpenID Connect issuers; without a name, the system's.",
        ),
        cfg.IntOpt(
            "lifecycle_day_s",
            default=0,
            min=0,
            help="Seconds that a day of lifecycle rules lasts, to try rules with; 0: days are the calendar's, and what expires "
            "does at midnight UTC, as at S3. Every service over the same state must be given the same.",
        ),
    ),
)

WORKER = Section(
    "Worker",
    (
        cfg.IntOpt(
            "worker_processes",
            default=1,
            min=0,
            help="Processes of background jobs beside the S3 service; with 0 they are left to nova-objectstore-worker.",
        ),
        cfg.IntOpt(
            "upload_age_days_max",
            default=0,
            min=0,
            help="Days after which a multipart upload in progress is aborted; 0 keeps it until it is aborted, as S3 does.",
        ),
        cfg.IntOpt(
            "logging_delivery_s",
            default=300,
            min=1,
            help="Seconds within which the record of a request is in its bucket's server access log.",
        ),
        cfg.ListOpt(
            "notification_networks",
            default=[],
            help="Networks (10.0.0.0/8, 127.0.0.1/32, ...) that event notifications may be sent to; without any, all but "
            "this host's own addresses, link-local, multicast and reserved ones.",
        ),
        cfg.IntOpt(
            "scrub_period_s",
            default=30 * 24 * 3600,
            min=0,
            help="Seconds from the beginning of one pass of the scrubber, which reads all that is stored and compares it with "
            "what was written, to the beginning of the next; 0: none but those of nova-manage scrub.",
        ),
        cfg.IntOpt(
            "scrub_bytes_per_s",
            default=16 * limits.MiB,
            min=0,
            help="Bytes that the scrubber reads a second, at most; 0: as fast as it can. 16 MiB a second are 1.3 TiB a day.",
        ),
        cfg.IntOpt(
            "image_size_max",
            default=IMAGE_SIZE_MAX,
            min=1,
            max=IMAGE_SIZE_MAX,
            help="Bytes of an image, unpacked: a larger one is not made available. Beyond 1 GiB it may also be at most 256 times "
            "its bundle.",
        ),
        cfg.IntOpt(
            "image_lease_s",
            default=60,
            min=1,
            help="Seconds after which a worker that died while it made an image available is taken for dead, and the image is "
            "begun anew; longer than the disk needs to make an image durable.",
        ),
        service_options.manager_option(
            "objectstore-worker", "nova_objectstore.worker_manager:ObjectstoreWorkerManager"
        ),
    ),
)

# Where services report and are asked: nova-manage reads them too.
MONITORING = (
    rpc_options.section(url="embedded:$state_path/rpc"),
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
        STORAGE_CLASSES,
        S3,
        WORKER,
        service_options.api_section("s3", listen="127.0.0.1", port=3333),
        service_options.http_section(),
        service_options.section(enabled_apis=["s3"], api_paste_config=installed_paste_config()),
        *MONITORING,
        launcher.section(),
        logs.section(),
    )


def worker_sections() -> tuple[Section, ...]:
    """The options of ``nova-objectstore-worker``."""
    return (
        STORAGE,
        STORAGE_CLASSES,
        S3,
        WORKER,
        service_options.section(),
        *MONITORING,
        launcher.section(),
        logs.section(),
    )


def combined_sections() -> tuple[Section, ...]:
    """The options of ``nova-combined``: those of all services."""
    return (
        STORAGE,
        STORAGE_CLASSES,
        S3,
        WORKER,
        service_options.api_section("s3", listen="127.0.0.1", port=3333, workers=1),
        service_options.api_section("osapi", listen="127.0.0.1", port=8774, workers=1),
        service_options.api_section("ec2", listen="127.0.0.1", port=8773, workers=1),
        service_options.api_section("iam", listen="127.0.0.1", port=8775, workers=1),
        service_options.http_section(),
        service_options.section(enabled_apis=["s3", "osapi", "ec2", "iam"], api_paste_config=installed_paste_config()),
        admin_token.section(default_file="$state_path/api-token"),
        *MONITORING,
        launcher.section(),
        logs.section(),
    )


def api_sections() -> tuple[Section, ...]:
    """The options of ``nova-api``."""
    return (
        STORAGE,
        STORAGE_CLASSES,
        S3,
        service_options.api_section("osapi", listen="127.0.0.1", port=8774, workers=1),
        service_options.api_section("ec2", listen="127.0.0.1", port=8773, workers=1),
        service_options.api_section("iam", listen="127.0.0.1", port=8775, workers=1),
        service_options.http_section(),
        service_options.section(enabled_apis=["osapi", "ec2", "iam"], api_paste_config=installed_paste_config()),
        admin_token.section(default_file="$state_path/api-token"),
        *MONITORING,
        launcher.section(),
        logs.section(),
    )


def manage_sections() -> tuple[Section, ...]:
    """The options of ``nova-manage``."""
    return (STORAGE, STORAGE_CLASSES, S3, *MONITORING, logs.section())
