"""Static websites: buckets served to browsers, on host names of their own (docs/websites.md).

hosts.py    which hosts are websites, and of which buckets
app.py      the WSGI application: a path to a page, a redirect or an error document
pages.py    the error pages that need no document
"""
