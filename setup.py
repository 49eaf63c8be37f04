"""The packaging of nova_wsgi and nova_objectstore."""

from pathlib import Path

from setuptools import find_packages, setup

REQUIRES = [
    "eventlet>=0.41.3",  # 0.41.1 pins greenlet<3.4
    "webob>=1.8.9",
    "routes>=2.5.1",
    "pastedeploy>=3.1",
    "paste>=3.10",
    "oslo.config>=9.6",
    "sqlalchemy>=2.0.30",
    "alembic>=1.13",
    "prometheus-client>=0.20",
    "defusedxml>=0.7.1",
    "awscrt>=0.23",
    "cryptography>=42",
    "rich>=13",
]
AMQP = ["kombu>=5.4"]
POSTGRES = ["psycopg[binary]>=3.2"]
TEST = [
    *AMQP,
    *POSTGRES,
    "pytest>=8",
    "hypothesis>=6.100",
    "psutil>=5.9",
    "supervisor>=4.2",
    "requests>=2.31",
    "h2>=4.1",  # a client of fronts that speak HTTP/2
    "hyperframe>=6",
    "boto3>=1.36",
    "awscli>=1.37",
    "boto>=2.49; python_version < '3.12'",  # boto 2 itself does not import on later ones
]
BENCH = [*TEST, "matplotlib>=3.8", "moto[server]>=5"]
DEV = [
    *TEST,
    "ruff>=0.6",
    "mypy>=1.11",
    "types-psutil",
    "types-requests",
    "build>=1.2",
    "cyclonedx-bom>=7",  # tools/sbom
    "uv>=0.5",  # tools/lock-dependencies
]

setup(
    name="nova-wsgi",
    version="0.1.0",
    description="An S3-compatible object store in one pip install, and the eventlet service layer under it",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["nova_wsgi*", "nova_objectstore*"]),
    package_data={
        "nova_wsgi": ["py.typed", "registry/compiled/*.json"],
        "nova_objectstore": ["py.typed", "meta/sql/compiled/*.json", "meta/sql/migrations/*.mako"],
    },
    data_files=[("etc/nova", ["etc/api-paste.ini", "etc/nova.conf.sample", "etc/constraints.txt"])],
    install_requires=REQUIRES,
    extras_require={"test": TEST, "bench": BENCH, "dev": DEV, "amqp": AMQP, "postgres": POSTGRES},
    entry_points={
        "console_scripts": [
            "nova-objectstore = nova_objectstore.cmd.objectstore:main",
            "nova-api = nova_objectstore.cmd.api:main",
            "nova-objectstore-worker = nova_objectstore.cmd.worker:main",
            "nova-combined = nova_objectstore.cmd.combined:main",
            "nova-manage = nova_objectstore.cmd.manage:main",
        ],
        "pytest11": ["nova_wsgi = nova_wsgi.pytest_plugin"],
    },
)
