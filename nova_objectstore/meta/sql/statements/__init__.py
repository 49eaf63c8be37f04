"""Every statement once, in SQLAlchemy Core, by topic. Importing a topic declares its statements."""
