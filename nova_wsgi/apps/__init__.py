"""Web Managers that every deployment wants. Named in the ini as ``paste.app_factory = nova_wsgi.apps.health:Health.factory``:

versions       which versions of an API there are, and where
health         does this process live; is the service ready, and if not, why
metrics        the counters of the metrics filter, for Prometheus
services       the services registry, for administrators to read and change
"""
