"""What a release is measured by: the store and its yardsticks, alternately, in one run; ratios, not absolute figures.

    __main__    ``make bench``: options, selection, the run, what is written
    workloads   the table of contents: every row by name; small, large, listing, service, comparison: the rows
    lab         the servers of one run, started when a row first asks for them, and what lies in them
    servers     Server; the store, eventlet.wsgi's hello world (hello), nginx
    peers       other S3 servers that are installed here; ceph: a cluster of one on loopback, and its gateway
    signing     requests as they go over the wire, signed in each of the ways the store accepts
    loads       wrk, generator, curl, boto3 (client): each a process of its own
    fill        a bucket of any number of keys, made before the server starts
    stats       percentiles, medians, ratios; report and plot: tables, JSON, Markdown, PNG
    instructions  what a request takes in instructions, counted by valgrind: two trees compared on a busy machine
    where       the store's stack sampled by CPU time (sampled), as shares of its layers and as a flame graph (flame)

Law: a row measures all its subjects in every round, one after the other, so that what else the machine does meets them alike.
"""
