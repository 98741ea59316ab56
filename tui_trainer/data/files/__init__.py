"""Reading files: tables, texts, folders."""
