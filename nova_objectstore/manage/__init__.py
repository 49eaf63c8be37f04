"""The administrator's commands: one module a noun, each with its table of commands.

    command.py      Command: a row of noun, verb, arguments and function; the command line made of the rows
    report.py       Report: what a command found, as a table, as plain lines, or as JSON
    progress.py     how far a long command is, on a terminal
    accounts.py keys.py identities.py policies.py buckets.py legacy.py images.py kms.py quotas.py notifications.py database.py
    integrity.py services.py
                    the nouns; COMMANDS below is their table of contents

A command's function takes a :class:`~nova_objectstore.manage.command.Context` and its parsed arguments and answers a
Report; it prints nothing, reads no options and raises the store's errors.
"""

from nova_objectstore.manage import (
    accounts,
    buckets,
    database,
    identities,
    images,
    integrity,
    keys,
    kms,
    legacy,
    notifications,
    policies,
    quotas,
    services,
)

COMMANDS = (
    *accounts.COMMANDS,
    *keys.COMMANDS,
    *identities.COMMANDS,
    *policies.COMMANDS,
    *buckets.COMMANDS,
    *legacy.COMMANDS,
    *images.COMMANDS,
    *kms.COMMANDS,
    *quotas.COMMANDS,
    *notifications.COMMANDS,
    *integrity.COMMANDS,
    *database.COMMANDS,
    *services.COMMANDS,
)

__all__ = ["COMMANDS"]
