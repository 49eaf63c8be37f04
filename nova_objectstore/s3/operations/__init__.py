"""The table of contents: every S3 operation, by the module that does it.

buckets       ListBuckets CreateBucket HeadBucket GetBucketLocation DeleteBucket
listings      ListObjects ListObjectsV2
reading       GetObject HeadObject GetObjectAttributes
writing       PutObject DeleteObject DeleteObjects
copying       CopyObject RenameObject
restoring     RestoreObject
uploads       CreateMultipartUpload UploadPart UploadPartCopy CompleteMultipartUpload AbortMultipartUpload ListParts
              ListMultipartUploads
versioning    GetBucketVersioning PutBucketVersioning ListObjectVersions
tagging       Get- Put- and Delete- of BucketTagging and ObjectTagging
encryption    Get- Put- and Delete- of BucketEncryption
policies      Get- Put- and Delete- of BucketPolicy, GetBucketPolicyStatus
acls          Get- and Put- of BucketAcl and ObjectAcl
ownership     Get- Put- and Delete- of BucketOwnershipControls
public_access Get- Put- and Delete- of PublicAccessBlock, Get- and Put- of BucketRequestPayment
lifecycle     Get- and Put- of BucketLifecycleConfiguration, DeleteBucketLifecycle
locks         Get- and Put- of ObjectLockConfiguration, ObjectRetention, ObjectLegalHold
cors          Get- Put- and Delete- of BucketCors
website       Get- Put- and Delete- of BucketWebsite
forms         PostObject
logging       Get- and Put- of BucketLogging
notifications Get- and Put- of BucketNotificationConfiguration
not_offered   the rest of AWS's model: 501
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nova_objectstore.s3.operation import OperationTable
from nova_objectstore.s3.operations.acls import AclController
from nova_objectstore.s3.operations.buckets import BucketController
from nova_objectstore.s3.operations.copying import CopyingController, CopySources
from nova_objectstore.s3.operations.cors import CorsController
from nova_objectstore.s3.operations.encryption import EncryptionController
from nova_objectstore.s3.operations.forms import FormController
from nova_objectstore.s3.operations.lifecycle import LifecycleController
from nova_objectstore.s3.operations.listings import ListingController
from nova_objectstore.s3.operations.locks import LockController
from nova_objectstore.s3.operations.logging import LoggingController
from nova_objectstore.s3.operations.not_offered import NOT_OFFERED
from nova_objectstore.s3.operations.notifications import NotificationController
from nova_objectstore.s3.operations.ownership import OwnershipController
from nova_objectstore.s3.operations.policies import PolicyController
from nova_objectstore.s3.operations.public_access import PublicAccessController
from nova_objectstore.s3.operations.reading import ReadingController
from nova_objectstore.s3.operations.restoring import RestoreController
from nova_objectstore.s3.operations.tagging import TaggingController
from nova_objectstore.s3.operations.uploads import UploadController
from nova_objectstore.s3.operations.versioning import VersioningController
from nova_objectstore.s3.operations.website import WebsiteController
from nova_objectstore.s3.operations.writing import WritingController

if TYPE_CHECKING:
    from nova_objectstore.assembly import Store

CONTROLLERS = (  # for the tests and docs that walk the rows
    BucketController,
    ListingController,
    ReadingController,
    WritingController,
    CopyingController,
    RestoreController,
    UploadController,
    VersioningController,
    TaggingController,
    LockController,
    EncryptionController,
    PolicyController,
    AclController,
    OwnershipController,
    PublicAccessController,
    LifecycleController,
    CorsController,
    WebsiteController,
    FormController,
    LoggingController,
    NotificationController,
)


def make_table(store: Store) -> OperationTable:
    """Every operation, bound to the domain of ``store``."""
    sources = CopySources(store.buckets, store.objects, store.access)
    return OperationTable(
        (
            BucketController(store.buckets, store.identities),
            ListingController(store.objects, store.identities, store.restores),
            ReadingController(store.objects, store.egress, store.restores),
            WritingController(store.objects, store.access),
            CopyingController(store.objects, sources),
            RestoreController(store.objects, store.restores),
            VersioningController(store.buckets, store.objects, store.identities, store.restores),
            TaggingController(store.buckets, store.objects),
            LockController(store.retention, store.access),
            EncryptionController(store.encryption.buckets),
            PolicyController(store.buckets),
            AclController(store.buckets, store.objects, store.identities),
            OwnershipController(store.buckets, store.identities),
            PublicAccessController(store.buckets),
            LifecycleController(store.lifecycles, classes=store.transition_classes),
            CorsController(store.buckets),
            WebsiteController(store.buckets),
            FormController(store.objects),
            LoggingController(store.buckets, store.access, store.identities),
            NotificationController(store.buckets, store.topics),
            UploadController(store.uploads, store.identities, sources),
        ),
        NOT_OFFERED,
    )
