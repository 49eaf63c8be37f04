"""Registered images: bundles in buckets, made into disk images that machines boot from.

ports           the values (Image, ...) and the port ImageStore: what the metadata engine keeps of images
errors limits   what can go wrong, as facts; every limit, with the reason for its number
manifest        *.manifest.xml, read and written
bundle          a bundle made: tar, gzip, AES, parts
unbundle tar    the reverse, streamed and distrustful
keys            the cloud's RSA key pair, which bundles are encrypted for
registry        THE RULES: who sees and changes which image, and how one is registered
source          manifests and parts out of the store's own buckets
job             registering: claimed rows, unbundled into the data engine
download        an image's bytes as a response: ranges and conditions
rest            /_images, as nova's objectstore of 2010 had it
ec2/            the EC2 query API of images
legacy upload   what the command line offers besides
"""
