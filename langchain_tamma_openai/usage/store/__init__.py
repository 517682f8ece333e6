"""Where usage records are kept: memory, SQLite, PostgreSQL."""
