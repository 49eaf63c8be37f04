"""Every XML document that a client can send: S3's, and the manifests of bundles.

Properties: only errors of the store leave a parser. What was taken and is answered again is taken again, as the same. Two
readers of XML agree on what a document says: expat as the store drives it, and the standard library's trees.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from support.fuzzing import Target

from nova_objectstore.domain.lifecycle import configuration as lifecycle
from nova_objectstore.domain.lifecycle.configuration import MinimumSize
from nova_objectstore.errors import StoreError
from nova_objectstore.images.errors import InvalidManifest
from nova_objectstore.images.manifest import read_manifest, signed_bytes
from nova_objectstore.s3 import xml
from nova_objectstore.s3.acls import AclReader
from nova_objectstore.s3.lifecycle_document import parse_lifecycle, render_lifecycle
from nova_objectstore.s3.operations.cors import parse_cors, render_cors
from nova_objectstore.s3.operations.encryption import parse_bucket_encryption, render_bucket_encryption
from nova_objectstore.s3.operations.locks import _read_configuration, _read_retention
from nova_objectstore.s3.operations.logging import LoggingController
from nova_objectstore.s3.operations.notifications import parse_notifications
from nova_objectstore.s3.operations.uploads import _read_parts
from nova_objectstore.s3.operations.website import parse_website, render_website
from nova_objectstore.s3.operations.writing import _read_deletes
from nova_objectstore.s3.restore_status import parse_restore
from nova_objectstore.s3.tags import parse_tagging, render_tagging
from nova_objectstore.s3.xml import Node
from nova_objectstore.types import Account

VECTORS = Path(__file__).parent.parent / "vectors"
OWNER = "ab" * 32
COMPARED_BYTES_MAX = 16 * 1024
CLASSES = ("STANDARD_IA", "GLACIER")


class NobodyElse:
    """Identities: one account."""

    _account = Account("111122223333", OWNER, "owner", "", 0)

    def by_canonical_id(self, canonical_id: str) -> Account | None:
        return self._account if canonical_id == OWNER else None

    def by_email(self, email: str) -> Sequence[Account]:
        return [self._account] * len(re.findall("@", email))


def _lifecycle(body: bytes) -> object:
    made = parse_lifecycle(body, minimum_size=MinimumSize.ALL_128K, classes=CLASSES)
    assert lifecycle.decode(lifecycle.encode(made)) == made, "what is stored is other rules"
    return made


_ACLS: Any = AclReader(NobodyElse())  # type: ignore[arg-type]
_LOGGING: Any = LoggingController(None, None, NobodyElse())  # type: ignore[arg-type]

Parse = Callable[[bytes], object]
PARSERS: Mapping[str, Parse] = {
    "AccessControlPolicy": lambda body: _ACLS.from_document(body, OWNER),
    "BucketLoggingStatus": _LOGGING._parse,
    "CORSConfiguration": parse_cors,
    "CompleteMultipartUpload": _read_parts,
    "Delete": _read_deletes,
    "LifecycleConfiguration": _lifecycle,
    "NotificationConfiguration": parse_notifications,
    "ObjectLockConfiguration": _read_configuration,
    "RestoreRequest": parse_restore,
    "Retention": _read_retention,
    "ServerSideEncryptionConfiguration": parse_bucket_encryption,
    "Tagging": lambda body: parse_tagging(body, tags_max=50),
    "WebsiteConfiguration": parse_website,
}
RENDERERS: Mapping[str, Callable[[Any], str]] = {
    "CORSConfiguration": render_cors,
    "LifecycleConfiguration": render_lifecycle,
    "ServerSideEncryptionConfiguration": render_bucket_encryption,
    "Tagging": render_tagging,
    "WebsiteConfiguration": render_website,
}

SEEDS = tuple(
    document.encode()
    for document in (
        "<Delete><Object><Key>a</Key><VersionId>1</VersionId><ETag>&quot;e&quot;</ETag><Size>1</Size>"
        "<LastModifiedTime>Wed, 21 Oct 2015 07:28:00 GMT</LastModifiedTime></Object><Quiet>true</Quiet></Delete>",
        '<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Part><PartNumber>1</PartNumber>'
        "<ETag>\"e\"</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part></CompleteMultipartUpload>",
        "<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status><Filter><And><Prefix>p</Prefix><Tag><Key>k</Key>"
        "<Value>v</Value></Tag><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan></And></Filter><Transition><Days>30</Days>"
        "<StorageClass>GLACIER</StorageClass></Transition><Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration>"
        "<NoncurrentVersionExpiration><NoncurrentDays>3</NoncurrentDays><NewerNoncurrentVersions>2</NewerNoncurrentVersions>"
        "</NoncurrentVersionExpiration></Rule><Rule><Prefix/><Status>Disabled</Status><AbortIncompleteMultipartUpload>"
        "<DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>",
        "<CORSConfiguration><CORSRule><ID>a</ID><AllowedMethod>GET</AllowedMethod><AllowedOrigin>https://*.a</AllowedOrigin>"
        "<AllowedHeader>*</AllowedHeader><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>3</MaxAgeSeconds></CORSRule>"
        "</CORSConfiguration>",
        "<Tagging><TagSet><Tag><Key>a b</Key><Value>é+-=._:/@</Value></Tag><Tag><Key>c</Key><Value/></Tag></TagSet></Tagging>",
        "<WebsiteConfiguration><IndexDocument><Suffix>i.html</Suffix></IndexDocument><ErrorDocument><Key>e</Key></ErrorDocument>"
        "<RoutingRules><RoutingRule><Condition><KeyPrefixEquals>d/</KeyPrefixEquals><HttpErrorCodeReturnedEquals>404"
        "</HttpErrorCodeReturnedEquals></Condition><Redirect><Protocol>https</Protocol><HostName>b.test</HostName>"
        "<ReplaceKeyPrefixWith>e/</ReplaceKeyPrefixWith><HttpRedirectCode>302</HttpRedirectCode></Redirect></RoutingRule>"
        "</RoutingRules></WebsiteConfiguration>",
        "<WebsiteConfiguration><RedirectAllRequestsTo><HostName>a.test</HostName><Protocol>http</Protocol>"
        "</RedirectAllRequestsTo></WebsiteConfiguration>",
        "<NotificationConfiguration><TopicConfiguration><Id>i</Id><Topic>arn:aws:sns:us-east-1:1:t</Topic><Event>s3:ObjectCreated:*"
        "</Event><Filter><S3Key><FilterRule><Name>prefix</Name><Value>a</Value></FilterRule></S3Key></Filter>"
        "</TopicConfiguration></NotificationConfiguration>",
        f'<AccessControlPolicy><Owner><ID>{OWNER}</ID></Owner><AccessControlList><Grant><Grantee xmlns:xsi="x" '
        f'xsi:type="CanonicalUser"><ID>{OWNER}</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant><Grant><Grantee>'
        "<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission></Grant><Grant>"
        "<Grantee><EmailAddress>a@b</EmailAddress></Grantee><Permission>WRITE</Permission></Grant></AccessControlList>"
        "</AccessControlPolicy>",
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode>"
        "<Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>",
        "<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>2030-01-01T00:00:00.000Z</RetainUntilDate></Retention>",
        "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm>"
        "<KMSMasterKeyID>k</KMSMasterKeyID></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled>"
        "</Rule></ServerSideEncryptionConfiguration>",
        "<RestoreRequest><Days>1</Days><GlacierJobParameters><Tier>Bulk</Tier></GlacierJobParameters></RestoreRequest>",
        "<BucketLoggingStatus><LoggingEnabled><TargetBucket>b</TargetBucket><TargetPrefix>p/</TargetPrefix><TargetGrants>"
        f"<Grant><Grantee><ID>{OWNER}</ID></Grantee><Permission>READ</Permission></Grant></TargetGrants><TargetObjectKeyFormat>"
        "<PartitionedPrefix><PartitionDateSource>EventTime</PartitionDateSource></PartitionedPrefix></TargetObjectKeyFormat>"
        "</LoggingEnabled></BucketLoggingStatus>",
    )
)  # fmt: skip

_WORDS = sorted({name for seed in SEEDS for name in re.findall(rb"</?[A-Za-z0-9]+/?>", seed)})
_TEXTS = ("", " ", "0", "1", "-1", "2147483648", "9" * 30, "true", "é", "٣", "²", "*", "a" * 300, "\u00a0", "/", "..",
    "a@b@c", "a, b",
          "2030-01-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2030-02-30T00:00:00Z",
          "2030-01-01T24:00:00Z",
          "\U0001f40d", "&", "<", "\t", "a\nb", "NaN", "GLACIER", "Enabled", "arn:aws:kms:r:1:key/k")  # fmt: skip


# -- the checks --------------------------------------------------------------------------------------------------------


def check_document(body: bytes) -> str:
    """By the parser of its root, and by all of them when it is nobody's."""
    try:
        root = xml.parse(body)
    except StoreError as error:
        return str(error.facts.get("reason"))[:30]
    _compare(body, root)
    told = [f"{name} {_parse(name, body)}" for name in PARSERS if name == root.name]
    return told[0] if told else _parse_with_all(body)


def _parse_with_all(body: bytes) -> str:
    for name in PARSERS:
        assert _parse(name, body) != "taken", "a document of another name was taken"
    return "another root"


def _parse(name: str, body: bytes) -> str:
    try:
        parsed = PARSERS[name](body)
    except StoreError as error:
        return f"{type(error).__name__} {error.message[:30]} {str(error.facts.get('reason'))[:30]}"
    if name in RENDERERS:
        again = PARSERS[name](RENDERERS[name](parsed).encode("utf-8", "surrogatepass"))
        assert again == parsed, f"what is answered is another {name}"
    return "taken"


def _compare(body: bytes, root: Node) -> None:
    """With the standard library's tree, of documents that it takes too; of small ones, for its time is quadratic."""
    if len(body) > COMPARED_BYTES_MAX:
        return
    try:
        theirs = ElementTree.fromstring(body)
    except (ElementTree.ParseError, LookupError, ValueError):
        return  # an encoding or a namespace that it knows better
    if b"encoding" not in body[:100]:
        _compare_nodes(root, theirs)


def _compare_nodes(node: Node, element: ElementTree.Element) -> None:
    assert node.name == element.tag.rpartition("}")[2].rpartition(":")[2], "another name"
    text = (element.text or "") + "".join(child.tail or "" for child in element)
    assert node.text == text, "another text"
    assert len(node.children) == len(element), "other children"
    for ours, theirs in zip(node.children, element, strict=True):
        _compare_nodes(ours, theirs)


def check_manifest(body: bytes) -> str:
    """A bundle's manifest, and what of it is signed."""
    try:
        manifest = read_manifest(body)
    except InvalidManifest as error:
        return re.sub(r"[0-9]+", "N", error.message)[:50]
    try:
        assert signed_bytes(body)
    except InvalidManifest as error:
        return error.message[:50]
    return f"taken {manifest.image_type}"


# -- the grammar -------------------------------------------------------------------------------------------------------


def make_document(rng: random.Random) -> bytes:
    """A seed with some of its elements dropped, doubled, moved, or with another text."""
    return _make_from(rng, rng.choice(SEEDS))


def _make_from(rng: random.Random, seed: bytes) -> bytes:
    root = ElementTree.fromstring(seed)
    for _ in range(1 + int(rng.expovariate(0.6))):
        _damage(rng, root)
    made: bytes = ElementTree.tostring(root, encoding=rng.choice(("utf-8", "us-ascii", "utf-8", "utf-16")))
    return made


def _damage(rng: random.Random, root: ElementTree.Element) -> None:
    elements = list(root.iter())
    if len(elements) > 200:
        return
    chosen, other = rng.choice(elements), rng.choice(elements)
    kind = rng.randrange(6)
    if kind <= 1:
        chosen.text = rng.choice(_TEXTS)
    elif kind == 2 and len(chosen):
        chosen.remove(rng.choice(list(chosen)))
    elif kind == 3 and len(chosen):
        chosen.append(rng.choice(list(chosen)))
    elif kind == 4 and not list(other.iter(chosen.tag)):
        chosen.append(ElementTree.fromstring(ElementTree.tostring(other)))
    elif kind == 5:
        chosen.tag = other.tag


# -- the targets -------------------------------------------------------------------------------------------------------


def _targets() -> Sequence[Target]:
    vectors = [path.read_bytes() for path in sorted((VECTORS / "xml").glob("*.xml"))]
    manifests = [path.read_bytes() for path in sorted((VECTORS / "images").glob("*.xml"))]
    growths: dict[str, Callable[[int], bytes]] = {
        "elements": lambda n: b"<Delete>" + b"<Object><Key>a</Key></Object>" * n + b"</Delete>",
        "text between elements": lambda n: b"<Delete>" + b"text text text <b/>" * n + b"</Delete>",
        "references": lambda n: b"<Delete>" + b"&#65;" * n + b"</Delete>",
        "attributes": lambda n: b"<Delete " + b"".join(b"a%d='1' " % i for i in range(n)) + b"/>",
        "comments": lambda n: b"<Delete>" + b"<!---->a" * n + b"</Delete>",
        "an unclosed tag": lambda n: b"<Delete " + b"a" * n * 8,
        "rules": lambda n: b"<CORSConfiguration>" + b"<CORSRule><ID>a</ID></CORSRule>" * n + b"</CORSConfiguration>",
    }
    declared = (b'<?xml version="1.0" encoding="utf-7"?>', b'<?xml version="1.0" encoding="idna"?>', b"<!DOCTYPE a [",
        b"<!ENTITY b 'c'>",
                b"&b;", b"<![CDATA[", b"]]>", b"<!--", b"-->", b"<?p", b"?>", b" xmlns:a='b'", b"a:",
                b"\xff\xfe<\x00")  # fmt: skip
    return (
        Target(
            "xml_documents",
            check_document,
            make_document,
            seeds=[*SEEDS, *vectors],
            words=[*_WORDS, *declared],
            growths=growths,
        ),
        Target(
            "manifests",
            check_manifest,
            lambda rng: _make_from(rng, rng.choice(manifests)),
            seeds=manifests,
            words=[*declared, b"<part index='0'>", b"<parts count='1'>", b"true"],
            growths={
                "elements": lambda n: b"<manifest>" + b"<a>text</a>" * n + b"</manifest>",
                "text between elements": lambda n: b"<manifest>" + b"text<a/>" * n + b"</manifest>",
                "comments": lambda n: b"<manifest>" + b"<!---->a" * n + b"</manifest>",
                "comments in a long text": lambda n: b"<manifest>" + b"<!---->%s" % (b"a" * 100) * n + b"</manifest>",
                "instructions": lambda n: b"<manifest>" + b"<?a?>a" * n + b"</manifest>",
                "signed elements": lambda n: b"<machine_configuration>" * n,
            },
            short=1000,
        ),
    )


TARGETS = _targets()
