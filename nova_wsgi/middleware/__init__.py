"""Filters for the pipelines of a paste ini: plain WSGI callables, a microsecond or two each. Outermost first:

    proxy          who the client really is, behind proxies of named networks
    request_id     ``nova.request_id``, its response header, and the id in every log line of the request
    access_log     one line a request, when its last byte is sent
    metrics        requests, latency, bytes and requests in flight, summed over the workers (shown by apps.metrics)
    healthcheck    answers a load balancer before the application is asked
    limits         503 beyond a number of requests in flight, 413 beyond a body size
    extension      ``.json`` and ``.xml`` at the path's end become the Accept header
    catch_errors   what the application raises becomes an answer, never a traceback
    ratelimit      429 beyond a number of requests a second of an address, or of an account

Each is named in the ini as ``paste.filter_factory = nova_wsgi.middleware.request_id:RequestId.filter_factory`` with its
options below; the factory's docstring lists them. An option it does not know is an error when the pipeline is composed.

None wraps the response's body. What is to happen when a request is over is a hook in ``environ['nova.finish_hooks']``,
which the server runs; ``finish.py`` runs them under a server that does not.
"""
