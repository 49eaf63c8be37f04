"""The policy language: who may do what, as AWS writes it. Pure: no HTTP, no storage, no clock.

patterns     texts with wildcards and variables
principals   the Principal element, and the names of who asks
conditions   every condition operator
vocabulary   S3's actions and condition keys
document     JSON -> a compiled policy
evaluate     what policies say, one by one and together
public       whether a bucket policy is public
"""
