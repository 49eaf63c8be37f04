"""The EC2 query API of images, so that boto, euca2ools and the AWS command line manage them.

    parameters   the flat parameters of a request, read as what they mean
    signatures   SigV2 of the query API; which of the mechanisms a request has
    faults       EC2's error codes: rows for the facts of the domain
    documents    XML in EC2's form
    filters      DescribeImages' filters: rows, and their wildcards
    images       RegisterImage DescribeImages DeregisterImage
    attributes   DescribeImageAttribute ModifyImageAttribute ResetImageAttribute
    app          the pipeline, as a WSGI application

Source: the Amazon EC2 API Reference, "Making API requests" (Query), "Error codes", and the actions' own pages.
"""
