"""Every limit of images and bundles, with the reason for its number."""

from __future__ import annotations

from nova_objectstore.limits import GiB, KiB, MiB

# -- manifests ------------------------------------------------------------------------------------------------------
PARTS_MAX = 10_000  # 97 GiB in parts of 10 MiB; EC2's own images ended at 10 GiB
MANIFEST_BYTES_MAX = 4 * MiB  # 10,000 parts at 200 bytes each, and room
MANIFEST_ELEMENTS_MAX = 3 * PARTS_MAX + 1000  # part, filename and digest; the rest of a manifest is some 40 elements
MANIFEST_DEPTH_MAX = 8  # manifest/image/parts/part/filename is the deepest there is
PART_NAME_BYTES_MAX = 255  # what file systems take for one name
TEXT_CHARS_MAX = 255  # names, users, devices: EC2 allows at most 255 of anything
RSA_HEX_CHARS_MAX = 4096  # a block of RSA with a 16,384 bit key
BLOCK_DEVICES_MAX = 64  # EC2: ami, root, swap and ephemeral0 to 23
PRODUCT_CODES_MAX = 20  # EC2 takes one

# -- bundles --------------------------------------------------------------------------------------------------------
PART_SIZE = 10 * MiB  # ec2-bundle-image and euca2ools: 10 MiB, in every version
GZIP_LEVEL = 6  # gzip's own default

# -- what an image may become ---------------------------------------------------------------------------------------
IMAGE_SIZE_MAX = 64 * GiB  # EC2's instance store roots end at 10 GiB; a bigger one is not a disk to be copied to hosts
IMAGE_EXPANSION_FREE = 1 * GiB  # up to here even a bundle of nothing but zeros costs no more than an ordinary upload
IMAGE_EXPANSION_MAX = 256  # bytes of image a byte of bundle, beyond that: real systems measure 2 to 20, zeros 1,000
TAR_META_BYTES_MAX = 64 * KiB  # pax records or a GNU long name: names and times, some 200 bytes
TAR_HEADERS_MAX = 16  # blocks of headers before the file's own: a long name, a pax header, a global one
TAR_SPARSE_ENTRIES_MAX = 100_000  # runs of data in a sparse image; 24 bytes each in the tar, 150 here
TAR_OVERHEAD_MAX = 16 * MiB  # all that a tar may hold beside the file: headers, sparse maps, padding of records

# -- registering ----------------------------------------------------------------------------------------------------
LEASE_S = 60.0  # how long a worker that says nothing keeps its image; a step takes 10 ms
RETRY_DELAY_S = 10.0  # after a disk or a database failed: long enough to heal, short enough to be noticed
ATTEMPTS_MAX = 20  # an image that ended its worker this often would go on doing so
DEREGISTERED_KEPT_S = 3600.0  # EC2 tells of a deregistered image "for a short interval"

# -- describing -----------------------------------------------------------------------------------------------------
DESCRIBE_MAX = 1000  # EC2: MaxResults
LIST_BATCH = 500  # rows of one transaction
LISTED_MAX = 10_000  # images in one answer of /_images, 500 bytes each; ``marker`` goes on behind
NAME_CHARS_MIN = 3  # EC2: RegisterImage, Name
NAME_CHARS_MAX = 128
DESCRIPTION_CHARS_MAX = 255  # EC2: RegisterImage, Description
PERMISSIONS_MAX = 1000  # launch permissions of one image; AWS's quota of shared accounts is 1,000
