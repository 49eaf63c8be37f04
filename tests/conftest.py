"""Tests run as the product does: patched before anything else is imported."""

from nova_wsgi import green

green.patch()
