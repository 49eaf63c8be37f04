"""Where the bytes of larger objects lie: ``engine`` is the port, ``files`` the embedded engine."""
