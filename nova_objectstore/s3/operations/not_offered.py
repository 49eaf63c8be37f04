"""Operations of AWS's model that are not offered: rows that answer 501 NotImplemented, to signed requests only.

Law: each is here until it has its whole effect; a setting that would be stored and not obeyed is not offered.
"""

from __future__ import annotations

from nova_objectstore.s3.operation import Operation, row

NOT_OFFERED: tuple[Operation, ...] = (
    row(
        "CreateBucketMetadataConfiguration",
        "POST /{bucket}?metadataConfiguration",
        action="s3:CreateBucketMetadataTableConfiguration",
    ),
    row(
        "CreateBucketMetadataTableConfiguration",
        "POST /{bucket}?metadataTable",
        action="s3:CreateBucketMetadataTableConfiguration",
    ),
    row("CreateSession", "GET /{bucket}?session", action="s3express:CreateSession"),
    row("DeleteBucketAnalyticsConfiguration", "DELETE /{bucket}?analytics&id", action="s3:PutAnalyticsConfiguration"),
    row(
        "DeleteBucketIntelligentTieringConfiguration",
        "DELETE /{bucket}?intelligent-tiering&id",
        action="s3:PutIntelligentTieringConfiguration",
    ),
    row("DeleteBucketInventoryConfiguration", "DELETE /{bucket}?inventory&id", action="s3:PutInventoryConfiguration"),
    row(
        "DeleteBucketMetadataConfiguration",
        "DELETE /{bucket}?metadataConfiguration",
        action="s3:DeleteBucketMetadataTableConfiguration",
    ),
    row(
        "DeleteBucketMetadataTableConfiguration",
        "DELETE /{bucket}?metadataTable",
        action="s3:DeleteBucketMetadataTableConfiguration",
    ),
    row("DeleteBucketMetricsConfiguration", "DELETE /{bucket}?metrics&id", action="s3:PutMetricsConfiguration"),
    row("DeleteBucketReplication", "DELETE /{bucket}?replication", action="s3:PutReplicationConfiguration"),
    row(
        "DeleteObjectAnnotation", "DELETE /{bucket}/{key}?annotation&annotationName", action="s3:DeleteObjectAnnotation"
    ),
    row("GetBucketAbac", "GET /{bucket}?abac", action="s3:GetBucketAbac"),
    row("GetBucketAccelerateConfiguration", "GET /{bucket}?accelerate", action="s3:GetAccelerateConfiguration"),
    row("GetBucketAnalyticsConfiguration", "GET /{bucket}?analytics&id", action="s3:GetAnalyticsConfiguration"),
    row(
        "GetBucketIntelligentTieringConfiguration",
        "GET /{bucket}?intelligent-tiering&id",
        action="s3:GetIntelligentTieringConfiguration",
    ),
    row("GetBucketInventoryConfiguration", "GET /{bucket}?inventory&id", action="s3:GetInventoryConfiguration"),
    row(
        "GetBucketMetadataConfiguration",
        "GET /{bucket}?metadataConfiguration",
        action="s3:GetBucketMetadataTableConfiguration",
    ),
    row(
        "GetBucketMetadataTableConfiguration",
        "GET /{bucket}?metadataTable",
        action="s3:GetBucketMetadataTableConfiguration",
    ),
    row("GetBucketMetricsConfiguration", "GET /{bucket}?metrics&id", action="s3:GetMetricsConfiguration"),
    row("GetBucketReplication", "GET /{bucket}?replication", action="s3:GetReplicationConfiguration"),
    row("GetObjectAnnotation", "GET /{bucket}/{key}?annotation&annotationName", action="s3:GetObjectAnnotation"),
    row("ListBucketAnalyticsConfigurations", "GET /{bucket}?analytics", action="s3:GetAnalyticsConfiguration"),
    row(
        "ListBucketIntelligentTieringConfigurations",
        "GET /{bucket}?intelligent-tiering",
        action="s3:GetIntelligentTieringConfiguration",
    ),
    row("ListBucketInventoryConfigurations", "GET /{bucket}?inventory", action="s3:GetInventoryConfiguration"),
    row("ListBucketMetricsConfigurations", "GET /{bucket}?metrics", action="s3:GetMetricsConfiguration"),
    row("ListDirectoryBuckets", "GET /", action="s3express:ListAllMyDirectoryBuckets"),
    row("ListObjectAnnotations", "GET /{bucket}/{key}?annotation", action="s3:ListObjectAnnotations"),
    row("PutBucketAbac", "PUT /{bucket}?abac", action="s3:PutBucketAbac"),
    row("PutBucketAccelerateConfiguration", "PUT /{bucket}?accelerate", action="s3:PutAccelerateConfiguration"),
    row("PutBucketAnalyticsConfiguration", "PUT /{bucket}?analytics&id", action="s3:PutAnalyticsConfiguration"),
    row(
        "PutBucketIntelligentTieringConfiguration",
        "PUT /{bucket}?intelligent-tiering&id",
        action="s3:PutIntelligentTieringConfiguration",
    ),
    row("PutBucketInventoryConfiguration", "PUT /{bucket}?inventory&id", action="s3:PutInventoryConfiguration"),
    row("PutBucketMetricsConfiguration", "PUT /{bucket}?metrics&id", action="s3:PutMetricsConfiguration"),
    row("PutBucketReplication", "PUT /{bucket}?replication", action="s3:PutReplicationConfiguration"),
    row("PutObjectAnnotation", "PUT /{bucket}/{key}?annotation&annotationName", action="s3:PutObjectAnnotation"),
    row("SelectObjectContent", "POST /{bucket}/{key}?select&select-type=2", action="s3:GetObject"),
    row(
        "UpdateBucketMetadataAnnotationTableConfiguration",
        "PUT /{bucket}?metadataAnnotationTable",
        action="s3:UpdateBucketMetadataAnnotationTableConfiguration",
    ),
    row(
        "UpdateBucketMetadataInventoryTableConfiguration",
        "PUT /{bucket}?metadataInventoryTable",
        action="s3:UpdateBucketMetadataInventoryTableConfiguration",
    ),
    row(
        "UpdateBucketMetadataJournalTableConfiguration",
        "PUT /{bucket}?metadataJournalTable",
        action="s3:UpdateBucketMetadataJournalTableConfiguration",
    ),
    row("UpdateObjectEncryption", "PUT /{bucket}/{key}?encryption", action="s3:UpdateObjectEncryption"),
)
