"""``nova-manage db``: the metadata database's schema."""
COMMANDS = ()
