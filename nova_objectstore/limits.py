"""Every limit of the store, with the reason for its number."""

from __future__ import annotations

KiB = 1024
MiB = 1024 * KiB
GiB = 1024 * MiB
TiB = 1024 * GiB

# -- names ----------------------------------------------------------------------------------------------------------
KEY_BYTES_MAX = 1024  # S3: object keys are at most 1,024 bytes of UTF-8
BUCKET_NAME_MIN = 3  # S3: bucket naming rules
BUCKET_NAME_MAX = 63

# -- sizes ----------------------------------------------------------------------------------------------------------
OBJECT_SIZE_MAX = 5 * TiB  # S3: an object, however it was uploaded
PUT_SIZE_MAX = 5 * GiB  # S3: one PUT, one part, one copied part
COPY_SIZE_MAX = 5 * GiB  # S3: CopyObject; larger ones need UploadPartCopy
PART_SIZE_MIN = 5 * MiB  # S3: all parts but the last
PART_NUMBER_MAX = 10_000  # S3: parts are numbered 1 to 10,000
LOCK_TIMEOUT_S = 10.0  # of a write: SDKs give a request 60 s and retry on 503: waiting longer than this helps nobody
INLINE_SIZE_MAX = 16 * KiB  # larger bodies cost SQLite more in page writes than a file of their own

# -- headers and bodies that are read into memory ----------------------------------------------------------------------
USER_METADATA_BYTES_MAX = 2 * KiB  # S3: names and values of x-amz-meta-* together
ENCRYPTION_CONTEXT_BYTES_MAX = 8 * KiB  # KMS: an encryption context; it is kept with each object
XML_BODY_MAX = 2 * MiB  # 1,000 keys of 1,024 bytes, each escaped, and room; CompleteMultipartUpload of 10,000 parts
XML_DEPTH_MAX = 32  # no S3 document is nested deeper than 12
XML_ELEMENTS_MAX = 100_000  # CompleteMultipartUpload: 10,000 parts of up to nine elements; a node costs 250 bytes
XML_LARGE_BYTES = 64 * KiB  # larger documents are taken one after the other: see s3/large_documents.py
XML_LARGE_AT_ONCE = 2  # in a process, each a tree of up to 30 MiB
XML_ATTRIBUTES_MAX = 32  # of one element: xsi:type and declarations of namespaces are all that S3 has
XML_TAG_BYTES_MAX = 64 * KiB  # a tag, a comment: waiting for its end, expat looks at all of it again and again
POLICY_BODY_MAX = 20 * KiB  # S3: a bucket policy
STREAM_BUFFER = 512 * KiB  # one step of receive, hash and write; two of them a streaming upload

# -- the query protocol -------------------------------------------------------------------------------------------------
QUERY_PARAMETERS_MAX = 2000  # a request of 200 filters with values, or 1,000 image ids
QUERY_BODY_MAX = 256 * KiB  # two policies of 20 KiB, every byte percent-encoded, and room

# -- a bucket's documents -----------------------------------------------------------------------------------------------
CORS_BODY_MAX = 64 * KiB  # S3: a CORS configuration
CORS_RULES_MAX = 100  # S3
CORS_ID_CHARS_MAX = 255  # S3
WEBSITE_BODY_MAX = 128 * KiB  # S3: a website configuration
ROUTING_RULES_MAX = 50  # S3
LIFECYCLE_RULES_MAX = 1000  # S3
LIFECYCLE_ID_CHARS_MAX = 255  # S3: a rule's ID
LIFECYCLE_DAYS_MAX = 2**31 - 1  # S3 takes a 32-bit number; dates beyond what a client can read are told as the last one
NEWER_NONCURRENT_MAX = 100  # S3: NewerNoncurrentVersions
TRANSITION_SIZE_MIN = 128 * KiB  # S3: smaller objects are not moved unless a rule says so

# -- pages ----------------------------------------------------------------------------------------------------------
LIST_KEYS_MAX = 1000  # S3: MaxKeys, MaxUploads and MaxParts are capped at 1,000
LIST_BUCKETS_MAX = 10_000  # S3: MaxBuckets
DELETE_KEYS_MAX = 1000  # S3: keys in one DeleteObjects
DELETE_ELEMENTS_MAX = 10 * DELETE_KEYS_MAX  # of its document: six a key mean something

# -- restored copies --------------------------------------------------------------------------------------------------
RESTORE_DAYS_MAX = 36_500  # a century: S3 states no bound, but dates have one

# -- tags -------------------------------------------------------------------------------------------------------------
OBJECT_TAGS_MAX = 10  # S3
BUCKET_TAGS_MAX = 50  # S3
TAG_KEY_CHARS_MAX = 128  # S3
TAG_VALUE_CHARS_MAX = 256  # S3

# -- accounts -----------------------------------------------------------------------------------------------------
BUCKETS_PER_ACCOUNT_MAX = 10_000  # S3's default quota since 2024; one account's listing stays one page

# -- signatures -------------------------------------------------------------------------------------------------------
CLOCK_SKEW_MAX_S = 15 * 60  # S3: RequestTimeTooSkewed beyond 15 minutes
PRESIGNED_EXPIRES_MAX_S = 7 * 24 * 3600  # SigV4: seven days
CREDENTIAL_CHARS_MAX = 256  # access key and scope; the longest access key that AWS makes has 128
SIGNED_HEADERS_CHARS_MAX = 4096  # 100 header names; what is cached of a client's must be bounded

# -- aws-chunked bodies -------------------------------------------------------------------------------------------------
CHUNK_SIZE_MIN = 8 * KiB  # S3: every chunk but the last; smaller ones would cost more to verify than to send
CHUNK_HEADER_BYTES_MAX = 128  # 16 hex digits, ";chunk-signature=", 64 hex digits, CRLF
TRAILER_BYTES_MAX = 4 * KiB  # one checksum of at most 88 characters and a signature, with room

# -- browser forms ------------------------------------------------------------------------------------------------------
FORM_POLICY_BYTES_MAX = 20_000  # S3: the fields of a form, less its file, take at most 20 KB
FORM_BYTES_MAX = 20 * KiB  # S3: everything of a form but its file, boundaries too
FORM_BOUNDARY_BYTES_MAX = 70  # RFC 2046 section 5.1.1
