"""What goes on beside the requests: each job finds its work in the database, so that it can be repeated and lost."""
