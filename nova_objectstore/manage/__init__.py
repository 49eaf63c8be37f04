"""The administrator's commands: one module a noun, each with its table of commands.

    command.py      Command: a row of noun, verb, arguments and function; the command line made of the rows
    report.py       Report: what a command found, as a table, as plain lines, or as JSON
    accounts.py keys.py buckets.py kms.py database.py services.py
                    the nouns; COMMANDS below is their table of contents

A command's function takes a :class:`~nova_objectstore.manage.command.Context` and its parsed arguments and answers a
Report; it prints nothing, reads no options and raises the store's errors.
"""

from nova_objectstore.manage import accounts, buckets, database, keys, kms, services

COMMANDS = (
    *accounts.COMMANDS,
    *keys.COMMANDS,
    *buckets.COMMANDS,
    *kms.COMMANDS,
    *database.COMMANDS,
    *services.COMMANDS,
)

__all__ = ["COMMANDS"]
